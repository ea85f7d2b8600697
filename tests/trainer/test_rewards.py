"""What each reward says of a text, and which of its characters it charges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adtext.brief import AdText
from adtext.checks import Finding
from adtext.fold import Span
from adtext.rules import RULES
from adtext.spec import load_spec, measure
from tests.builders import A_SPEC, a_brief
from tests.trainer.samples import GOOD, GOOD_JA, GOOD_ZH, LOCALES, a_prompt, a_sample
from trainer.config import Terms
from trainer.prompts import Prompt
from trainer.rewards.base import TERM_OF, Sample
from trainer.rewards.diversity import Diversity
from trainer.rewards.risk import Correctness, Risk
from trainer.rewards.semantics import Relevance
from trainer.rewards.structure import Format, Length


def charged(sample: Sample, term: object) -> list[tuple[str, float]]:
    """(quoted characters, share of the penalty) of every charge."""
    assert sample.text is not None
    values = dict(sample.text.fields())
    return [
        (values[field][span.start : span.end], charge.share)
        for charge in term.charges(sample)  # type: ignore[attr-defined]
        for field, spans in charge.spans.items()
        for span in spans
    ]


def test_every_rule_belongs_to_exactly_one_term():
    assert TERM_OF.keys() == RULES.keys()
    assert set(TERM_OF.values()) == {"length", "format", "correctness", "risk"} < Terms.model_fields.keys()


@pytest.mark.parametrize(
    "term", [Length(), Format(), Risk(), Correctness(), Diversity()], ids=lambda term: type(term).__name__
)
def test_a_text_that_does_not_parse_scores_nothing_and_a_good_one_everything(term):
    broken = a_sample("Wide shoes, come in!")
    assert term.score(
        [broken, a_sample(GOOD), a_sample(GOOD_ZH, "zh", "baidu_search"), a_sample(GOOD_JA, "ja", "generic")]
    ).tolist() == [
        0,
        1,
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("x" * 30, 1.0),  # as long as the platform allows
        ("x" * 31, 0.5 * (2 - 31 / 30)),  # a character more cannot be shown: half is gone at once
        ("x" * 45, 0.25),
        ("x" * 90, 0.0),
    ],
)
def test_length_falls_softly_outside_its_interval(title, expected):
    fitting = a_sample(GOOD.model_copy(update={"title": title}))
    assert Length().score([fitting])[0] == pytest.approx((expected + 1) / 2)  # mean of title and description


@pytest.mark.parametrize(
    ("title", "expected"),
    [("x" * 21, 1.0), ("x" * 20, 0.5 * 20 / 21), ("x" * 7, 0.5 * 7 / 21), ("x" * 31, 0.5 * (2 - 31 / 30))],
)
def test_a_target_interval_also_ends_below(title, expected):
    filled = a_sample(AdText(title=title, description="宽" * 32))  # 64 of 90
    assert Length(fill=0.7).score([filled])[0] == pytest.approx((expected + 1) / 2)


@pytest.mark.parametrize(
    ("description", "second", "score"),
    [
        ("x" * 20, "x" * 20, 1.0),
        ("x" * 20, None, 2 / 3),  # the platform requires a second description
        ("x" * 20, "  ", 2 / 3),
        (" ", "x" * 20, 2 / 3),
    ],
)
def test_a_required_field_that_is_missing_or_blank_counts_nothing(description, second, score):
    text = AdText(title="x" * 20, description=description, description_2=second)
    spec = replace(A_SPEC, fields=A_SPEC.fields | {"description_2": A_SPEC.fields["description"]})
    sample = a_sample(GOOD)
    sample = replace(sample, text=text, prompt=replace(sample.prompt, spec=spec))
    assert Length().score([sample])[0] == pytest.approx(score)


@pytest.mark.parametrize("language", LOCALES)
def test_a_field_that_the_platform_does_not_have_counts_nothing(language):
    good = {"en": GOOD, "zh": GOOD_ZH, "ja": GOOD_JA}[language]
    sample = a_sample(good, language, "generic")
    longer = replace(sample, text=good.model_copy(update={"description_2": good.description}))
    assert Length().score([longer])[0] == pytest.approx(2 / 3)


@given(extra=st.integers(0, 80))
def test_a_longer_title_beyond_the_limit_never_scores_more(extra):
    shorter, longer = (a_sample(GOOD.model_copy(update={"title": "宽" * (15 + n)})) for n in (extra, extra + 1))
    assert measure("宽" * 15, "width") == 30
    first, second = Length().score([shorter, longer])
    assert second <= first


@pytest.mark.parametrize(
    ("description", "score"),
    [
        ("We fit runners with wide feet.", 1.0),
        ("We fit runners with wide feet 🙂.", 0.5),  # one emoji
        ("We fit runners with wide feet!!! Come in.", 0.125),  # repeated, and each mark beyond the first
        ("WE FIT RUNNERS WITH WIDE FEET!!! Come in 🙂.", 0.03125),  # and shouting, and an emoji
    ],
)
def test_each_fault_of_form_halves_the_score(description, score):
    sample = a_sample(GOOD.model_copy(update={"description": description}))
    assert Format().score([sample])[0] == score


def test_a_fault_of_form_that_a_person_must_review_counts_half_and_a_warning_nothing():
    sample = a_sample(GOOD)
    faults = [_finding(severity, 0, 4, rule="emoji") for severity in ("review", "warn")]
    for found, score in ((faults, 0.5**0.5), (faults[1:], 1.0), (faults[:1] * 2, 0.5)):
        assert Format().score([replace(sample, findings=tuple(found))])[0] == pytest.approx(score)


@pytest.mark.parametrize(
    ("language", "title", "quote"),
    [
        ("zh", "青禾跑鞋全网最低价", "最低价"),
        ("en", "Guaranteed Results", "Guaranteed"),
        ("ja", "業界最安値の靴です", "最安値"),
    ],
)
def test_risk_charges_the_words_that_wrote_it(language, title, quote):
    good = {"zh": GOOD_ZH, "en": GOOD, "ja": GOOD_JA}[language]
    sample = a_sample(good.model_copy(update={"title": title}), language, "generic")
    assert Risk().score([sample])[0] == 0
    quotes = charged(sample, Risk())
    assert any(quote in text for text, _ in quotes) and all(text in title for text, _ in quotes)
    assert sum(share for text, share in quotes if quote in text) == pytest.approx(1.0)


def test_an_invented_number_is_charged_to_its_digits_and_a_given_one_is_not():
    invented = a_sample(
        GOOD.model_copy(update={"description": "Greenfield Running: 70% off wide shoes, from 2E to 4E."})
    )
    assert Correctness().score([invented]).tolist() == [0.0]
    assert {text for text, _ in charged(invented, Correctness())} == {"70%"}
    given_ = a_sample(GOOD.model_copy(update={"description": "Trainers weigh 238 g and start at $89."}))
    assert Correctness().score([given_]).tolist() == [1.0] and charged(given_, Correctness()) == []


def test_what_a_person_must_see_is_charged_half():
    sample = a_sample(GOOD)
    found = Sample(
        sample.prompt,
        sample.completion,
        sample.text,
        (_finding("review", 0, 4), _finding("block", 5, 12), _finding("warn", 13, 18)),
    )
    shares: dict[int, float] = {}
    for charge in Risk().charges(found):
        for span in charge.spans["title"]:
            shares[span.start] = shares.get(span.start, 0) + charge.share
    assert shares == {0: 0.5, 5: 1.0}


def _finding(severity, start, end, rule="absolute_claim"):
    return Finding(rule, "title", Span(start, end), GOOD.title[start:end], severity, "", "")


@pytest.mark.parametrize(
    ("language", "phrase"), [("en", "come and see us today"), ("zh", "快来看看吧"), ("ja", "ぜひご覧ください")]
)
def test_a_phrase_that_every_brief_gets_is_charged_and_one_of_its_own_is_not(language, phrase):
    briefs = [a_brief(locale=LOCALES[language], query=f"{number} shoes") for number in range(4)]
    term = Diversity()
    own = ["alpha beta", "gamma delta", "epsilon zeta", "eta theta"]
    texts = [AdText(title=word, description=f"{word}. {phrase}") for word in own]
    samples = [
        Sample(Prompt(brief, load_spec("generic"), (), "train"), "", text, ())
        for brief, text in zip(briefs, texts, strict=True)
    ]
    term.observe(samples)
    sample = samples[0]
    assert [(text.lower(), share) for text, share in charged(sample, term)] == [(phrase, 1.0)]
    assert 0 < term.score([sample])[0] < 1
    taken_up = Diversity()
    taken_up.load_state_dict(term.state_dict())
    assert taken_up.score([sample]) == term.score([sample])


class WordsInCommon:
    """An encoder without a model: one dimension a word."""

    name, dim = "words", 4096

    def encode(self, strings):
        rows = np.zeros((len(strings), self.dim), dtype=np.float32)
        for row, string in zip(rows, strings, strict=True):
            for word in string.lower().replace(".", " ").split():
                row[int.from_bytes(word.encode(), "big") % self.dim] += 1
        return rows


def test_relevance_tells_a_text_of_its_own_brief_from_one_of_another():
    shop = a_brief(locale="en-US", query="tea cups")
    tea = shop.model_copy(
        update={"ad": shop.ad.model_copy(update={"id": "tea", "advertiser": "Clay Row", "business": "Tea cups"})}
    )
    prompts = [
        a_prompt(references=(GOOD,)),
        Prompt(
            tea, load_spec("google_rsa"), (AdText(title="Tea Cups", description="Clay Row makes tea cups."),), "train"
        ),
    ]
    term = Relevance.calibrate(WordsInCommon(), prompts)
    own, other = term.of([prompts[0].brief, prompts[0].brief], [GOOD, prompts[1].references[0]])
    assert own > 0.9 > 0.1 > other
    with pytest.raises(ValueError, match="two advertisers"):
        Relevance.calibrate(WordsInCommon(), prompts[:1])
