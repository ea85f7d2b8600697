"""Folding hides nothing: every view leads back to the raw characters that wrote it."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adtext.fold import Cover, fold, squeeze, views

# Latin, Chinese in both scripts, kana in both widths, Hangul, accents as marks, emoji with joiners, invisible
# characters, ligatures.
LETTERS = (
    "aZß9 .-*ＡéİΣς宽寬國国鞋最佳かガｶﾞﾊﾟー가각ᄀ"
    "\u1161\u0301\u0308\u3099\u200b\u200d\ufeff\u00ad\ufe0f👟👩🔥ﬁ㍿㌔①％　，。"
)
texts = st.text(st.sampled_from(LETTERS), max_size=24) | st.text(max_size=24)


@given(texts)
@example("ｶﾞ\u200b")
@example("a\u200b\u0301")
def test_every_character_of_every_view_comes_from_a_raw_range(text):
    both = views(text)
    for view in (both.folded, both.squeezed, both.confusables):
        spans = [view.raw_span(at, at + 1) for at in range(len(view.text))]
        assert all(0 <= span.start < span.end <= len(text) for span in spans)
        assert all(span.start <= following.start and span.end <= following.end for span, following in pairwise(spans))


@given(texts)
def test_a_folded_character_is_what_its_raw_range_folds_to(text):
    view = fold(text)
    for at, char in enumerate(view.text):
        span = view.raw_span(at, at + 1)
        assert char in fold(text[span.start : span.end]).text


INVISIBLE = "\u200b\u200d\ufeff\u00ad\ufe0f"


@given(st.text(st.sampled_from(LETTERS), max_size=24))
def test_folding_piece_by_piece_equals_folding_the_whole(text):
    visible = "".join(char for char in text if char not in INVISIBLE)
    whole = "".join(
        char for char in unicodedata.normalize("NFKC", visible).casefold() if not "\u0300" <= char <= "\u036f"
    )
    assert fold(text).text == "".join(fold(char).text if "\u3400" <= char <= "\u9fff" else char for char in whole)


@given(st.text(st.sampled_from("abXY9 .宽鞋かガ👟"), max_size=20))
def test_folding_twice_is_folding_once(text):
    once = fold(text).text
    assert fold(once).text == once


@given(texts)
def test_squeezing_keeps_letters_and_digits_in_order(text):
    assert squeeze(text) == "".join(char for char in fold(text).text if char.isalnum())
    assert views(text).squeezed.text == squeeze(text)


# symbols apart: ㏀ is written kΩ when its form is unfolded
@given(st.text(st.characters(min_codepoint=0x3041, max_codepoint=0x9FFF, exclude_categories=["So"]), max_size=30))
def test_look_alikes_never_touch_chinese_or_japanese(text):
    both = views(text)
    assert both.confusables.text == both.folded.text


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("FREE Shoes", "free shoes"),
        ("ＦＲＥＥ　ｓｈｏｅｓ", "free shoes"),
        ("𝐁𝐞𝐬𝐭", "best"),
        ("全網最低價", "全网最低价"),
        ("最\u200b佳", "最佳"),
        ("fr\u00adee", "free"),
        ("ﾗﾝﾆﾝｸﾞ", "ランニング"),
        ("ガラス", "ガラス"),
        ("送料無料", "送料无料"),  # Japanese is folded like Chinese, in texts and in terms alike
        ("１，０００", "1,000"),
        ("Straße", "strasse"),
        ("cafe\u0301", "café"),
    ],
)
def test_one_spelling_for_what_reads_the_same(written, folded):
    assert fold(written).text == folded


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("сliсk hеrе", "click here"),  # Cyrillic с and е
        ("Frée", "free"),
        ("fr33", "free"),
        ("cl1ck", "click"),
        ("gu4ranteed", "guaranteed"),
        ("f̶r̶e̶e̶", "free"),
        ("Galaxy A55", "galaxy a55"),  # a model's name
        ("b2b, 4k", "b2b, 4k"),
        ("最佳", "最佳"),
    ],
)
def test_look_alikes_read_as_latin(written, seen):
    assert views(written).confusables.text == seen


@pytest.mark.parametrize(
    ("written", "folded", "raw"),
    [
        ("买 最\u200b佳 鞋", "最佳", "最\u200b佳"),
        ("ｶﾞﾗｽの靴", "ガラス", "ｶﾞﾗｽ"),
        ("a ﬁt b", "fit", "ﬁt"),
        ("全 網 最", "网 最", "網 最"),
    ],
)
def test_a_folded_range_leads_back_to_what_was_written(written, folded, raw):
    view = fold(written)
    start = view.text.index(folded)
    span = view.raw_span(start, start + len(folded))
    assert written[span.start : span.end] == raw


def test_a_squeezed_range_leads_back_over_what_was_squeezed_out():
    view = views("the f.r-e e shoe").squeezed
    start = view.text.index("free")
    assert view.raw_span(start, start + 4) == (4, 11)


SPANS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda pair: tuple(sorted(pair))), max_size=8)


@given(SPANS, st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda pair: tuple(sorted(pair))))
def test_a_cover_holds_what_one_of_its_spans_holds(spans, asked):
    assert Cover(spans).holds(*asked) == any(start <= asked[0] and asked[1] <= end for start, end in spans)
