"""Whoever wrote a span pays for it: exactly the sampled tokens whose bytes it covers, in any language, however they
were sampled.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from adtext.brief import AdText
from adtext.fold import Span
from adtext.prompt import parse, write
from tests.builders import an_ad
from tests.trainer.policies import byte_level_tokenizer
from trainer.credit import (
    ByteSpan,
    byte_span,
    charge,
    code_point_starts,
    field_offsets,
    sampled_bytes,
    token_ends,
    token_rewards,
)

LANGUAGES = [("zh", "zh-CN"), ("ja", "ja-JP"), ("en", "en-US")]
WORDS = st.sampled_from(
    [
        "最低价",
        "宽脚跑鞋",
        "龘",
        "𠮷野家",
        "送料無料",
        "ランニング",
        "ﾊﾟ",
        "Free ",
        "shipping",
        " 30%",
        "é",
        "№1",
        "😀",
        "👨‍👩‍👧",
        "！",
        ": ",
        "：",
        "naïve ",
    ]
)
VALUES = st.lists(WORDS, min_size=1, max_size=6).map(lambda words: "x" + "".join(words) + "x")


def sampled(text: str, cuts: list[int]) -> list[int]:
    """Ids that write the text, but not as the tokenizer would: every stretch between two cuts was sampled on its
    own.
    """
    tokenizer = byte_level_tokenizer()
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [tokenizer(text[start:end], add_special_tokens=False)["input_ids"] for start, end in pairwise(places)]
    return [token for piece in pieces for token in piece]


def charged_as(tokenizer, ids, language, charges):
    """The token rewards of ids whose text is parsed as the run parses it."""
    text = parse(sampled_bytes(tokenizer, ids).decode("utf-8", "replace"), language)
    return token_rewards(tokenizer, ids, text, charges)


@given(
    title=VALUES,
    description=VALUES,
    language=st.sampled_from(["zh", "ja", "en"]),
    cuts=st.lists(st.integers(0, 200), max_size=5),
    data=st.data(),
)
def test_a_span_charges_exactly_the_tokens_that_wrote_its_bytes(title, description, language, cuts, data):
    text = write(AdText(title=title, description=description), language)
    ids = [*sampled(text, cuts), byte_level_tokenizer().eos_token_id]
    field, value = data.draw(st.sampled_from([("title", title), ("description", description)]))
    start = data.draw(st.integers(0, len(value) - 1))
    span = Span(start, data.draw(st.integers(start + 1, len(value))))

    rewards = charged_as(byte_level_tokenizer(), ids, language, [({field: [span]}, 2.0)])

    # of every byte
    writer = [token for token, id_ in enumerate(ids) for _ in sampled_bytes(byte_level_tokenizer(), [id_])]
    before = text.index(value, 0 if field == "title" else text.index("\n")) + start
    first, last = len(text[:before].encode()), len(text[: before + span.end - span.start].encode())
    assert set(np.flatnonzero(rewards)) == set(writer[first:last])
    assert set(rewards.tolist()) <= {0.0, -2.0} and rewards[-1] == 0.0


@given(text=VALUES, cuts=st.lists(st.integers(0, 200), max_size=5))
def test_the_sampled_bytes_are_the_text_whatever_the_ids(text, cuts):
    ids = sampled(text, cuts)
    assert sampled_bytes(byte_level_tokenizer(), ids) == text.encode()
    assert token_ends(byte_level_tokenizer(), ids)[-1] == len(text.encode())


@given(raw=st.binary(max_size=24) | VALUES.map(lambda text: text.encode()[1:-2]))
def test_code_points_start_where_the_decoder_says_even_in_broken_text(raw):
    text, starts = raw.decode("utf-8", "replace"), code_point_starts(raw)
    assert len(starts) == len(text) + 1 and starts[-1] == len(raw)
    pieces = [raw[start:end] for start, end in pairwise(starts)]
    assert [piece.decode("utf-8", "replace") for piece in pieces] == list(text)


def test_a_truncated_chinese_character_moves_no_other_charge():
    tokenizer = byte_level_tokenizer()
    text = "标题: 最低价跑鞋\n描述: 全网最低"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"][:-1]  # cut inside 低: at the longest length
    decoded = tokenizer.decode(ids)
    assert decoded.endswith("最\ufffd") and decoded == sampled_bytes(tokenizer, ids).decode("utf-8", "replace")

    of_title = charged_as(tokenizer, ids, "zh", [({"title": [Span(0, 3)]}, 2.0)])
    of_cut = charged_as(tokenizer, ids, "zh", [({"description": [Span(3, 4)]}, 2.0)])

    charged = [token for token, reward in zip(ids, of_title, strict=True) if reward]
    assert sampled_bytes(tokenizer, charged).decode() == "最低价"
    assert set(np.flatnonzero(of_cut)) <= {len(ids) - 1, len(ids) - 2} and of_cut[-1] == -2.0


def test_a_character_broken_in_the_middle_is_as_wide_as_what_the_decoder_gave_up_on():
    tokenizer = byte_level_tokenizer()
    broken = tokenizer("最", add_special_tokens=False)["input_ids"][:-1]
    ids = [*tokenizer("Title: ", add_special_tokens=False)["input_ids"], *broken]
    ids += tokenizer("ok best\nDescription: fine", add_special_tokens=False)["input_ids"]
    title = sampled_bytes(tokenizer, ids).decode("utf-8", "replace").split("\n")[0].removeprefix("Title: ")

    rewards = charged_as(tokenizer, ids, "en", [({"title": [Span(title.index("best"), len(title))]}, 2.0)])

    charged = [token for token, reward in zip(ids, rewards, strict=True) if reward]
    assert sampled_bytes(tokenizer, charged).decode().strip() == "best"


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 1)], [-2, 0, 0, 0]),
        ([(2, 4)], [-2, -2, 0, 0]),  # one byte of overlap counts on either side
        ([(3, 6)], [0, -2, 0, 0]),
        ([(0, 6), (1, 4)], [-2, -2, 0, 0]),  # under two spans a token pays once
        ([(5, 9)], [0, -2, 0, -2]),  # the third token writes no byte: it cannot have written these
        ([(4, 4)], [0, 0, 0, 0]),
        ([], [0, 0, 0, 0]),
    ],
)
def test_any_byte_of_overlap_counts(spans, expected):
    rewards = charge([ByteSpan(*span) for span in spans], np.array([3, 6, 6, 9]), 2.0)
    assert rewards.tolist() == expected


def test_end_of_text_and_tokens_that_no_text_shows_are_never_charged():
    tokenizer = byte_level_tokenizer()
    first, second = (
        tokenizer(part, add_special_tokens=False)["input_ids"] for part in ("Title: be", "st\nDescription: fine")
    )
    hidden = tokenizer.convert_tokens_to_ids("<|im_start|>")
    ids = [*first, hidden, *second, tokenizer.eos_token_id]

    rewards = charged_as(tokenizer, ids, "en", [({"title": [Span(0, 4)], "description": [Span(0, 4)]}, 2.0)])

    assert rewards[len(first)] == 0.0 and rewards[-1] == 0.0
    assert rewards[len(first) - 1] == -2.0 and rewards[len(first) + 1] == -2.0


def test_kinds_add_up_and_each_charges_a_token_once():
    tokenizer = byte_level_tokenizer()
    ids = tokenizer("Title: best best\nDescription: fine", add_special_tokens=False)["input_ids"]
    risk, template = {"title": [Span(0, 4), Span(0, 9)]}, {"title": [Span(5, 9)]}
    rewards = charged_as(tokenizer, ids, "en", [(risk, 2.0), (template, 0.5)])
    assert sorted(set(rewards.tolist())) == [-2.5, -2.0, 0.0]


def test_a_completion_that_left_the_template_is_not_charged():
    tokenizer = byte_level_tokenizer()
    ids = tokenizer("Buy the best shoes", add_special_tokens=False)["input_ids"]
    assert not charged_as(tokenizer, ids, "en", [({"title": [Span(0, 4)]}, 2.0)]).any()
    assert charged_as(tokenizer, [], "en", [({"title": [Span(0, 4)]}, 2.0)]).shape == (0,)


@pytest.mark.parametrize(("language", "locale"), LANGUAGES)
@pytest.mark.parametrize("around", ["{}", " \n{}\n", "\u3000{} "])
def test_a_field_stands_where_its_offset_says(language, locale, around):
    ad = an_ad(locale=locale, description_2="A: second 第二")
    completion = around.format(write(ad, language))
    offsets = field_offsets(completion, ad)
    assert {field: completion[offsets[field] : offsets[field] + len(value)] for field, value in ad.fields()} == dict(
        ad.fields()
    )


def test_token_rewards_are_single_precision_as_the_policys_advantages():
    assert token_rewards(byte_level_tokenizer(), [5, 6], None, []).dtype == np.float32


def test_spans_of_code_points_become_bytes():
    starts = code_point_starts("a最😀b".encode())
    assert starts.tolist() == [0, 1, 4, 8, 9]
    assert byte_span(starts, Span(0, 2), offset=1) == ByteSpan(1, 8)


def test_a_vocabulary_that_is_not_byte_level_is_refused_by_name():
    words = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({"best": 0}, unk_token="best")), name_or_path="words-only"
    )
    with pytest.raises(ValueError, match="words-only: no byte-level BPE"):
        token_ends(words, [0])
