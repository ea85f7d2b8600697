"""Spans that meet, and the edges of what counts as frequent, distinct and copied."""

from __future__ import annotations

import pytest

from adtext.brief import AdText
from adtext.fold import Span
from adtext.ngrams import FrequentNgrams, distinct, diversity
from tests.builders import a_brief


@pytest.mark.parametrize(
    ("other", "overlaps", "holds"),
    [
        (Span(2, 6), True, True),
        (Span(3, 5), True, True),
        (Span(2, 7), True, False),
        (Span(1, 6), True, False),
        (Span(5, 9), True, False),
        (Span(6, 8), False, False),  # half open: they only touch
        (Span(0, 2), False, False),
    ],
)
def test_spans_overlap_and_hold_as_half_open_ranges(other, overlaps, holds):
    assert (Span(2, 6).overlaps(other), Span(2, 6).holds(other)) == (overlaps, holds)


def text(title):
    return AdText(title=title, description="")


def brief(number):
    return a_brief(locale="en-US", query=f"query {number}")


def frequent_in(repeating, others, window):
    ngrams = FrequentNgrams(window=window)
    for number in range(repeating):
        ngrams.observe(brief(number), [text("shop now")])
    for number in range(others):
        ngrams.observe(brief(1000 + number), [text(f"w{number}x w{number}y")])
    return ngrams


def test_diversity_exempts_what_each_texts_own_brief_holds():
    ngrams = frequent_in(5, 0, 100)
    own = a_brief(locale="en-US", query="shop now")
    texts = [text("Shop now"), text("Shop now")]
    assert diversity(texts, ngrams) == 0.0
    assert diversity(texts, ngrams, [own, brief(1)]) == 0.5


@pytest.mark.parametrize(("left", "frequent"), [(30, True), (29, False)])
def test_an_ngram_leaves_under_three_percent_of_a_thousand_briefs(left, frequent):
    ngrams = frequent_in(50, 950, 1000)
    assert ngrams.share(text("shop now")) == 1.0
    for number in range(50 - left):  # each takes the place of the oldest "shop now"
        ngrams.observe(brief(5000 + number), [text(f"v{number}x v{number}y")])
    assert (ngrams.share(text("shop now")) > 0) is frequent


def test_the_order_of_words_makes_texts_distinct():
    assert distinct([text("warm boots small feet wet rain"), text("rain wet feet small boots warm")]) == 2
