"""What raw samples are worth: every measure on texts whose worth is plain, and paired intervals that know who was
resampled.
"""

from dataclasses import replace

import numpy as np
import pytest
from builders import A_SPEC, a_brief, an_ad

from adtext.brief import AdText
from adtext.checks import Finding, Span
from adtext.prompt import write
from adtext.rules import load_rules
from trainer.bootstrap import Interval
from trainer.evaluation.compare import compare, verdict
from trainer.evaluation.metrics import MEASURES, Measured, measure, mentioned, with_truth
from trainer.prompts import Prompt
from trainer.rewards.base import read
from trainer.rewards.judge_scores import judges_of
from trainer.rewards.semantics import Relevance

RULES = load_rules()
LOCALES = ("en-US", "zh-CN", "ja-JP")


class Letters:
    """An encoder that counts letters."""

    name, dim = "letters", 26

    def encode(self, strings):
        return np.array(
            [[string.lower().count(chr(97 + letter)) + 0.1 for letter in range(26)] for string in strings],
            dtype=np.float32,
        )


RELEVANCE = Relevance(Letters(), slope=5.0, middle=0.5)


def samples(*completions, locale="en-US", query=None, **ad):
    prompt = Prompt(a_brief(locale=locale, query=query, **ad), A_SPEC, (), "held_out")
    return [
        read(prompt, completion if isinstance(completion, str) else write(completion, locale[:2]), RULES)
        for completion in completions
    ]


def worth(*completions, locale="en-US", **ad):
    return measure("a policy", samples(*completions, locale=locale, **ad), RELEVANCE, {}).values


@pytest.mark.parametrize("locale", LOCALES)
def test_compliance_counts_raw_samples_parsed_or_not(locale):
    good = an_ad(locale=locale)
    shouting = {"en-US": "Best Shoes In The World", "zh-CN": "全网最低价跑鞋", "ja-JP": "日本一安いシューズ"}[locale]
    values = worth(good, good.model_copy(update={"title": shouting}), "Buy now", locale=locale)
    assert values["compliance"].tolist() == [1, 0, 0]
    assert values["format"][2] == values["structure"][2] == values["semantics"][2] == values["diversity"][2] == 0


def test_a_clean_text_has_nothing_to_block_and_nothing_to_review():
    findings = [
        Finding("shouting", "title", Span(0, 1), "x", severity, "", "") for severity in ("warn", "review", "block")
    ]
    (sample,) = samples(an_ad(locale="en-US"))
    found = [replace(sample, findings=tuple(findings[:many])) for many in range(4)]
    values = measure("a policy", found, RELEVANCE, {}).values
    assert values["clean"].tolist() == [1, 1, 0, 0] and values["compliance"].tolist() == [1, 1, 1, 0]


def test_a_text_that_does_not_parse_has_no_predicted_rate_and_no_habits():
    values = worth(an_ad(locale="en-US"), "Buy now")
    assert [bool(np.isnan(values[name][1])) for name in ("copy", "words", "points")] == [True, True, True]


def test_diversity_is_measured_against_the_policys_own_texts():
    one_phrase = AdText(
        title="Step Into Comfort", description="Find the pair that fits your stride and step into comfort."
    )
    drilled = [sample for number in range(12) for sample in samples(one_phrase, id=f"ad-{number}")]
    varied = samples(an_ad(locale="en-US"), query="trail shoes") + samples(
        AdText(title="Trainers Sized 2E to 4E", description="Roomy toe boxes, light soles."), query="wide trainers"
    )
    assert measure("drilled", drilled, RELEVANCE, {}).values["diversity"].mean() <= 0.3
    assert measure("varied", varied, RELEVANCE, {}).values["diversity"].mean() == 1.0


def test_compliance_but_for_length_forgives_length_alone():
    (sample,) = samples(an_ad(locale="en-US"))
    long, loud = (Finding(rule, "title", Span(0, 1), "x", "block", "", "") for rule in ("too_long", "shouting"))
    found = [replace(sample, findings=findings) for findings in ((), (long,), (long, loud), (loud,))]
    values = measure("a policy", [*found, *samples("Buy now")], RELEVANCE, {}).values
    assert values["compliance"].tolist() == [1, 0, 0, 0, 0] and values["but_length"].tolist() == [1, 1, 0, 0, 0]


def test_semantic_quality_is_the_mean_of_relevance_correctness_and_risk():
    risky = an_ad(locale="en-US", title="Number One Shoes")
    (sample,) = samples(risky)
    assert {finding.rule for finding in sample.of("risk")} and not sample.of("correctness")
    values = measure("a policy", [sample], RELEVANCE, {}).values
    assert values["semantics"][0] == pytest.approx((values["relevance"][0] + 1.0 + 0.0) / 3)


def test_distinct_texts_are_counted_per_brief():
    text = an_ad(locale="en-US")
    other = AdText(title="Trainers Sized 2E to 4E", description="Roomy toe boxes, light soles.")
    of_two_briefs = samples(text, text, other, query="running shoes") + samples(text, text, text, query="trainers")
    assert measure("a policy", of_two_briefs, RELEVANCE, {}).values["distinct"].tolist() == [2, 2, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("locale", "text", "share"),
    [
        ("en-US", AdText(title="Wide Fit Shoes", description="Trainers from 2E to 4E."), 1 / 3),
        ("en-US", AdText(title="Wide Fit 2E to 4E", description="Free shipping over $50 and 30-day returns."), 1.0),
        ("en-US", AdText(title="Running Shoes", description="Find a pair today."), 0.0),
        ("zh-CN", AdText(title="宽楦设计跑鞋", description="青禾跑步，舒适轻便。"), 1 / 3),
        ("ja-JP", AdText(title="幅広設計の靴", description="30日間返品無料です。"), 2 / 3),
    ],
)
def test_a_selling_point_is_mentioned_when_half_of_its_telling_words_are(locale, text, share):
    assert mentioned(text, a_brief(locale=locale)) == pytest.approx(share)


def test_copying_the_brief_shows_in_the_copy_rate():
    page = "We fit runners with wide feet in a quiet shop by the river every day."
    copied = AdText(title="Wide Shoes", description="We fit runners with wide feet in a quiet shop by the river.")
    values = worth(copied, an_ad(locale="en-US"), landing_page=page)
    assert values["copy"][0] > 0.8 and values["copy"][1] == 0
    assert values["words"][0] == (2 + 13) / 2


def test_the_true_ctcvr_is_a_column_where_users_are_simulated():
    measured = measure("a policy", samples(an_ad(locale="en-US"), "Buy now"), RELEVANCE, {})
    told = with_truth(measured, lambda briefs, texts: np.array([0.02 for _ in texts]))
    assert told.values["true_ctcvr"][0] == 0.02 and np.isnan(told.values["true_ctcvr"][1])


def test_truth_and_fluency_are_columns_of_both_judges():
    judges = dict(zip(("", "second_"), judges_of("en"), strict=True))
    values = measure("a policy", samples(an_ad(locale="en-US"), "Buy now"), RELEVANCE, {}, judges).values
    columns = [values[name] for name in ("truth", "fluency", "second_truth", "second_fluency")]
    assert all(column[0] > 0 == column[1] for column in columns)
    assert values["truth"][0] != values["second_truth"][0]


# ---- comparison


def measured(policy, by_advertiser):
    """Compliance of each advertiser's texts, given plainly."""
    texts = [
        sample
        for ad, values in by_advertiser.items()
        for sample in samples(*[an_ad(locale="en-US")] * len(values), id=ad)
    ]
    return Measured(
        policy,
        texts,
        {"compliance": np.array([value for values in by_advertiser.values() for value in values], dtype=float)},
    )


def test_means_weigh_texts_and_differences_are_paired():
    noise = np.random.default_rng(0).random(30)
    base = {f"ad-{at}": [value, value] for at, value in enumerate(noise)}
    better = {ad: [value + 0.1 for value in values] for ad, values in base.items()}
    found = compare([measured("sft", base), measured("relate", better)])
    assert found.means["compliance"][0].value == pytest.approx(noise.mean())
    difference = found.differences["compliance"][1]
    # every advertiser gained as much
    assert difference.low == pytest.approx(0.1) and difference.high == pytest.approx(0.1)
    assert found.means["compliance"][1].low < noise.mean() + 0.1 - 0.05  # while each mean alone is uncertain
    assert found.differences["compliance"][0] == Interval(0.0, 0.0, 0.0)


def test_an_interval_widens_with_what_differs_between_advertisers_not_with_texts():
    chance = np.random.default_rng(1)
    levels = chance.random(25)
    few = measured("few", {f"ad-{at}": [level] * 2 for at, level in enumerate(levels)})
    many = measured("many", {f"ad-{at}": [level] * 20 for at, level in enumerate(levels)})
    width = [
        interval.high - interval.low for interval in (compare([each]).means["compliance"][0] for each in (few, many))
    ]
    assert width[0] == pytest.approx(width[1])
    # the textbook's, for the mean of 25 advertisers
    assert width[0] == pytest.approx(2 * 1.96 * levels.std() / 5, rel=0.1)


def test_policies_are_compared_on_the_same_advertisers_only():
    with pytest.raises(ValueError, match="relate and sft wrote for different advertisers"):
        compare([measured("sft", {"ad-1": [1]}), measured("relate", {"ad-2": [1]})])


@pytest.mark.parametrize(
    ("interval", "said"),
    [(Interval(0.2, 0.1, 0.3), "up"), (Interval(-0.2, -0.3, -0.1), "down"), (Interval(0.1, -0.1, 0.3), "not resolved")],
)
def test_a_verdict_needs_an_interval_that_excludes_zero(interval, said):
    assert verdict(interval) == said


def test_every_measure_that_is_computed_is_described():
    assert set(worth(an_ad(locale="en-US"))) <= set(MEASURES)
