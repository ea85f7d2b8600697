"""Spelling is no disguise: a blocked term is found, with the exact span, wherever one of its characters is changed."""

import pytest
from builders import A_SPEC, a_brief, an_ad
from hypothesis import given
from hypothesis import strategies as st

from adtext.checks import check
from adtext.rules import load_rules

RULES = load_rules()
CHINESE = ("国家级", "稳赚不赔", "药到病除", "史无前例")
ENGLISH = ("guaranteed returns", "miracle cure", "unbeatable", "lowest prices")


def quotes(title, locale):
    return {
        finding.quote for finding in check(an_ad(locale=locale, title=title), a_brief(locale=locale), A_SPEC, RULES)
    }


@given(st.sampled_from(CHINESE), st.sampled_from(".* ·🔥\u200b\u0301"), st.data())
def test_a_chinese_term_is_found_with_something_between_its_characters(term, between, data):
    at = data.draw(st.integers(1, len(term) - 1))
    written = term[:at] + between + term[at:]
    assert written in quotes(f"本店{written}鞋", "zh-CN")


@given(st.sampled_from(ENGLISH), st.sampled_from((".", "*", "🔥", "\u200b")), st.data())
def test_an_english_term_is_found_with_something_between_its_letters(term, between, data):
    places = [at for at in range(1, len(term)) if " " not in term[at - 1 : at + 1]]
    at = data.draw(st.sampled_from(places))
    written = term[:at] + between + term[at:]
    assert written in quotes(f"Shoes: {written}", "en-US")


@pytest.mark.parametrize("written", ["国jia级", "guo家级", "蕞佳", "zui好", "稳赚不陪", "最́佳", "N0.1", "TOP 1"])
def test_a_syllable_a_variant_or_a_digit_hides_nothing(written):
    assert written in quotes(f"本店{written}鞋", "zh-CN")


@pytest.mark.parametrize(
    "written", ["gu4ranteed returns", "m1racle cure", "unbeatablle", "1owest prices", "b\u0435st in class"]
)
def test_a_digit_a_double_or_a_look_alike_hides_nothing(written):
    assert written in quotes(f"Shoes: {written}", "en-US")
