"""What the simulated users tell apart: language and truth, by means that no reward, check or judge shares."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from adtext.brief import Ad, AdBrief, AdText
from adtext.prompt import write
from adtext.rules import load_rules
from benchmarks.market import in_users_half
from benchmarks.market import version as market_version
from benchmarks.market.ceiling import CANDIDATES, candidates, ceiling, standing
from benchmarks.market.claims import misstatements
from benchmarks.market.facts import Offer
from benchmarks.market.taste import UniversalSentenceEncoder
from benchmarks.market.users import Users
from benchmarks.market.version import market_hash
from tests.builders import a_brief
from trainer.evaluation.metrics import Measured
from trainer.prompts import Prompt, load_prompts
from trainer.rewards.base import read
from trainer.snapshot import describe_text

USERS = Users.load()
VALIDATION = load_prompts(split="validation")
# advertisers from whom the users' word model learned nothing
PROMPTS = [prompt for prompt in VALIDATION if not in_users_half(prompt.brief.ad.id)][::3]
TEXTS = [(prompt.brief, text) for prompt in PROMPTS for text in prompt.references[:1]]
NUMBER = re.compile(r"[£$]?\d(?:[\d,.]*\d)?")
Change = Callable[[AdBrief, AdText, np.random.Generator], AdText]


def shuffled(_: AdBrief, text: AdText, rng: np.random.Generator) -> AdText:
    return AdText(**{name: " ".join(rng.permutation(value.split())) for name, value in text.fields()})


def random_words(brief: AdBrief, text: AdText, rng: np.random.Generator) -> AdText:
    words = " ".join(brief.facts()).split()
    return AdText(**{name: " ".join(rng.choice(words, len(value.split()))) for name, value in text.fields()})


def swapped_facts(brief: AdBrief, text: AdText, rng: np.random.Generator) -> AdText:
    """Every number becomes another one of the same advertiser; a text without numbers describes another advertiser."""
    said = [found.group() for line in Offer.of(brief).lines for found in NUMBER.finditer(line)]

    def another(found: re.Match[str]) -> str:
        others = [
            number for number in said if number != found.group() and (number[0] in "£$") == (found.group()[0] in "£$")
        ]
        return str(rng.choice(others)) if others else found.group()

    changed = AdText(**{name: NUMBER.sub(another, value) for name, value in text.fields()})
    if changed != text:
        return changed
    strange = next(prompt for prompt in VALIDATION[int(rng.integers(99)) :] if prompt.brief.ad.id != brief.ad.id)
    return AdText(title=text.title, description=strange.references[0].description)


def mean_ctcvr(texts: list[tuple[AdBrief, AdText]]) -> float:
    briefs, shown = zip(*texts, strict=True)
    return float(USERS.of_briefs(briefs, shown).ctcvr.mean())


@pytest.mark.parametrize(("change", "most"), [(shuffled, 0.7), (swapped_facts, 0.8), (random_words, 0.4)])
def test_a_broken_or_false_text_converts_less_than_its_reference(change: Change, most: float) -> None:
    rng = np.random.default_rng(0)
    broken = [(brief, change(brief, text, rng)) for brief, text in TEXTS]
    assert mean_ctcvr(broken) <= most * mean_ctcvr(TEXTS)


def test_references_convert_at_a_few_per_mille() -> None:
    assert 0.0015 < mean_ctcvr(TEXTS) < 0.005


def test_shuffling_lowers_the_taste_for_a_text() -> None:
    rng = np.random.default_rng(0)
    mixed = [describe_text(shuffled(brief, text, rng)) for brief, text in TEXTS]
    kept = [describe_text(text) for _, text in TEXTS]
    assert USERS.taste.appeal(mixed).mean() < USERS.taste.appeal(kept).mean() - 0.3


def test_labelled_clumsy_and_mangled_texts_read_worse_than_good_ones() -> None:
    """On advertisers of the half that the users did not learn from, texts that a policy wrote: AUC at least 0.8."""
    briefs = {(prompt.brief.ad.id, prompt.brief.query): prompt.brief for prompt in load_prompts()}
    labels = Path("trainer/data/judge/labels.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, labels) if not in_users_half(row["ad"])]
    rows = [row for row in rows if row["policy"] != "recombined"]  # put together from two texts, to teach the judge
    rows = [row for row in rows if (row["ad"], row["query"]) in briefs and row["verdict"] != "false"]
    read = USERS.comprehension.of(
        [row["query"] for row in rows],
        [Offer.of(briefs[row["ad"], row["query"]]) for row in rows],
        [f"{row['title']}\n{row['description']}" for row in rows],
    )
    good = np.array([row["verdict"] == "good" for row in rows])
    assert (read[good][:, None] > read[~good][None]).mean() >= 0.8


BIKES = Ad(
    id="bikes",
    advertiser="Saltbox Cycles",
    business="Bicycle repair shop in Burlington",
    selling_points=(
        "Basic tune-up $75",
        "Flat repair while you wait, $15 with tube",
        "Campervans £150 a weekend",
        "Free pickup within 4 miles for repairs over $120",
        "Bags without plastic",
    ),
    landing_page="Winter storage costs $60 from November to March. Wheels are trued. Two mechanics work until 8 pm.",
)
FALSE = [
    ("A tune-up for $85", "price 85"),
    ("A basic tune-up costs $15", "price 15"),
    ("Campervans for £150 a day", "price 150 day"),
    ("Open until 9 pm", "clock 9 p"),
    ("Bags made from plastic", "plastic is denied"),
    ("We also repair bikes around Boston", "Boston"),
]


@pytest.mark.parametrize(("sentence", "found"), FALSE)
def test_a_misstated_fact_is_found_loses_conversions_and_brings_complaints(sentence: str, found: str) -> None:
    brief = a_brief(locale="en-US").model_copy(update={"ad": BIKES, "query": "bike tune up"})
    false, true = (AdText(title="Bike Tune-Up", description=f"{said}.") for said in (sentence, "A tune-up is $75"))
    assert found in dict(misstatements(brief.query, Offer.of(brief), describe_text(false)))
    rates = USERS.of_briefs([brief, brief], [false, true])
    assert rates.complaints[0] > rates.complaints[1] == 0 and rates.ctcvr[0] < rates.ctcvr[1]


@pytest.mark.parametrize(
    "sentence",
    [
        "A basic tune-up costs $75",
        "Flats repaired for $15 while you wait",
        "Winter storage is $60, until March",
        "Free pickup within four miles",
        "Two mechanics, until 8 pm",
        "Our bags have no plastic",
    ],
)
def test_a_true_sentence_misstates_nothing(sentence: str) -> None:
    brief = a_brief(locale="en-US").model_copy(update={"ad": BIKES, "query": "bike tune up"})
    assert [*misstatements(brief.query, Offer.of(brief), f"Bike Repair\n{sentence}.")] == []


def test_the_ceiling_lies_above_the_references() -> None:
    few: list[Prompt] = PROMPTS[:4]
    assert all(len(candidates(prompt, few[0], 0)) == CANDIDATES for prompt in few)
    top = ceiling(USERS, few)
    assert top.best > top.references > 0


def test_a_policy_that_writes_the_references_reaches_them_and_one_that_half_parses_gets_half() -> None:
    top, rules = ceiling(USERS, PROMPTS[:3]), load_rules()
    written = [(prompt, write(text, "en")) for prompt in PROMPTS[:3] for text in prompt.references]
    whole = [read(prompt, completion, rules) for prompt, completion in written]
    broken = [read(prompt, "no template", rules) for prompt, _ in written]
    full = standing(USERS, Measured("references", whole, {}), top)
    half = standing(USERS, Measured("half", [*whole, *broken], {}), top)
    assert full.share_of_references == pytest.approx(1) and half.ctcvr == pytest.approx(full.ctcvr / 2)


def test_the_hash_names_the_market(monkeypatch: pytest.MonkeyPatch) -> None:
    now = market_hash()
    assert re.fullmatch(r"[0-9a-f]{12}", now)
    monkeypatch.setattr(market_version, "PARTS", market_version.PARTS[:-1])
    market_hash.cache_clear()
    other = market_hash()
    market_hash.cache_clear()
    assert other != now


def test_vectors_of_a_text_do_not_depend_on_the_others() -> None:
    encoder = UniversalSentenceEncoder()
    one, two = encoder.encode(["heather honey"]), encoder.encode(["a kite", "heather honey", "a kite"])
    assert np.allclose(one[0], two[1], atol=1e-5) and np.array_equal(two[0], two[2])
