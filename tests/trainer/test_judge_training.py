"""The packaged judge: what it learns from, its trees without scikit-learn, its thresholds and what it lets through."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from adtext.brief import Ad, AdBrief, AdText
from trainer.config import JudgeConfig
from trainer.judge.calibrate import thresholds
from trainer.judge.corruptions import UNREADABLE, UNTRUE, corrupt
from trainer.judge.examples import Example, Examples
from trainer.judge.export import trees_of
from trainer.judge.labels import LABELS, TEST, TESTED, LabelError, agreement, load_labels, part_of
from trainer.judge.source import Source
from trainer.prompts import load_prompts
from trainer.scoring.features import features
from trainer.scoring.judge import PackagedJudge, packaged_judge

KINDS = sorted({**UNTRUE, **UNREADABLE})
BRIEF = AdBrief(
    query="cider tour somerset",
    bidwords=("cider tour",),
    locale="en-GB",
    ad=Ad(
        id="cider",
        advertiser="Ashwick Orchard",
        business="Cider farm with shop and tours in Somerset",
        selling_points=("Mixed case of 12 for £46", "Tours on Saturdays", "No added sugar"),
        landing_page="A tour takes 90 minutes and costs £8. It ends in the barn with three ciders. "
        "We deliver within 5 days. Dogs are welcome in the orchard.",
    ),
)
OTHER = BRIEF.model_copy(
    update={
        "ad": Ad(
            id="boats",
            advertiser="Slipway Covers",
            business="Boat covers and canvas repairs in Poole",
            selling_points=("Measured on the boat within a week", "Dinghy covers from £140"),
        )
    }
)
TEXT = AdText(
    title="Cider Tour in Somerset",
    description="A tour takes 90 minutes and costs £8. No added sugar, and delivery within 5 days in Somerset.",
)


@pytest.mark.parametrize("kind", KINDS)
def test_each_corruption_changes_one_text_and_the_same_seed_makes_the_same_one(kind: str) -> None:
    source = Source(BRIEF, TEXT, [OTHER])
    if kind == "price_moved":  # onto a text without a price, of a query that the brief does not price
        plain = TEXT.model_copy(update={"description": "No added sugar."})
        source = Source(BRIEF.model_copy(update={"query": "apple juice"}), plain, [OTHER])
    for seed in range(20):
        changed = corrupt(kind, source, Random(seed))
        assert changed == corrupt(kind, source, Random(seed))
        if changed is not None:
            assert changed != source.text
            return
    pytest.fail(f"{kind} changes nothing in twenty tries")


# corruptions that add something to a text of one word; the others change what is there, and here is nothing
ADDING = {"foreign_brand", "foreign_fact", "foreign_place", "keyword_list", "said_twice", "subject_dropped"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_that_offers_nothing_to_corrupt_is_left_alone(kind: str) -> None:
    changed = corrupt(kind, Source(BRIEF, AdText(title="A", description="B"), [OTHER]), Random(0))
    assert (changed is not None) == (kind in ADDING)


def test_labels_are_of_train_and_validation_advertisers_only_and_no_tested_one_is_learned_from() -> None:
    labels = load_labels()
    splits = {prompt.brief.ad.id: prompt.split for prompt in load_prompts()}
    assert {splits[label.brief.ad.id] for label in labels} == {"train", "validation"}
    parts = {
        part: {label.brief.ad.id for label in labels if label.part == part}
        for part in ("judge", "second_judge", "test")
    }
    assert not parts["test"] & (parts["judge"] | parts["second_judge"])
    assert not parts["judge"] & parts["second_judge"]
    assert {json.loads(line)["ad"] for line in TEST.read_text("utf-8").splitlines()} == parts["test"]
    assert parts["test"] <= {*TESTED.read_text("utf-8").split()}
    assert [part_of("any", split) for split in ("held_out", "new_industry")] == [None, None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ad": "nobody"}, "line 1: no prompt"),
        ({"verdict": "fine"}, "verdict 'fine' is unknown"),
        ({"ad": "HELD_OUT"}, "never labelled"),
    ],
)
def test_a_label_that_cannot_be_used_is_refused_with_its_line(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    row = json.loads(LABELS.read_text("utf-8").splitlines()[0]) | change
    if row["ad"] == "HELD_OUT":
        held_out = load_prompts(split="held_out")[0].brief
        row |= {"ad": held_out.ad.id, "query": held_out.query}
    (tmp_path / "labels.jsonl").write_text(json.dumps(row), "utf-8")
    with pytest.raises(LabelError, match=message):
        load_labels(tmp_path / "labels.jsonl")


def test_a_text_put_together_from_two_counts_for_training_and_not_for_limits() -> None:
    rows = [Example(BRIEF, TEXT, "false", False, None, 1.0, drawn=drawn) for drawn in (True, False)]
    assert [example.labelled for example in rows] == [True, False]
    items = [Example(BRIEF, TEXT, "good", True, True, 1.0), *rows]
    scores = np.array([0.9, 0.2, 0.99])
    assert thresholds(Examples(items, np.zeros((3, 1)), ("x",)), scores, JudgeConfig()).serve < 0.9


def test_agreement_is_one_where_two_readings_agree_and_below_zero_where_they_never_do() -> None:
    first, *_ = (label for label in load_labels() if label.verdict == "good")
    good, bad = replace(first, second="good"), replace(first, verdict="false", second="clumsy")
    assert agreement([good, bad]) == (2, 0.5, 1.0)
    assert agreement([replace(good, second="false"), replace(bad, second="good")])[2] < 0
    assert agreement([replace(first, second=None)])[0] == 0


def test_the_trees_score_as_scikit_learn_does() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 6))
    outcome = rows[:, 0] * rows[:, 1] > 0
    model = GradientBoostingClassifier(n_estimators=20, max_depth=3, random_state=0).fit(rows, outcome)
    assert trees_of(model, rows[:1])(rows) == pytest.approx(model.decision_function(rows), abs=1e-5)


def test_a_saved_judge_loads_as_the_same_judge(tmp_path: Path) -> None:
    judge = packaged_judge()
    judge.save(tmp_path)
    pairs = [(BRIEF, TEXT), (BRIEF, AdText(title="Boats", description="Boats from the from."))]
    assert PackagedJudge.load(tmp_path).score(pairs) == judge.score(pairs)


def test_the_shipped_files_are_those_whose_digests_the_readme_states() -> None:
    folder = LABELS.parent
    stated = re.findall(r"`([\w./-]+)` \| `([0-9a-f]{64})`", (folder / "README.md").read_text("utf-8"))
    assert len(stated) == 8
    assert {name: sha256((folder / name).read_bytes()).hexdigest() for name, _ in stated} == dict(stated)


def test_a_copied_fact_is_as_near_as_a_text_can_be() -> None:
    grams = packaged_judge().grams
    near = features("words", BRIEF, AdText(title="Cider Tour", description="Mixed case of 12 for £46."), grams)
    far = features("words", BRIEF, AdText(title="Cider Tour", description="Tour of 46 barns for £12 in Leeds."), grams)
    assert near["unlike_worst"] == near["new_worst"] == near["crossed_worst"] == 0
    assert far["unlike_worst"] > 0.3
    assert far["number_left_worst"] + far["number_right_worst"] + far["number_alone_worst"] > 0


def feature(name: str, title: str, description: str) -> float:
    text = AdText(title=title, description=description)
    return features("words", BRIEF, text, packaged_judge().grams)[name]


def test_a_title_over_the_price_of_another_offer_is_told_from_one_over_its_own() -> None:
    assert feature("contrast_money", "Cider Tour", "Mixed case of 12 for £46.") > 0
    assert feature("contrast_money", "Cider Tour", "A tour takes 90 minutes and costs £8.") <= 0


@pytest.mark.parametrize(
    ("name", "plain", "slip"),
    [
        ("bent_worst", "Dogs are welcome in the orchard.", "Dog are welcome in the orchard."),
        ("body_small_name", "Cider farm in Somerset.", "Cider farm in somerset."),
        ("dropped_worst", "A tour takes 90 minutes and costs £8.", "A tour takes minutes and costs £8."),
        ("body_odd_short", "Tours on Saturdays.", "Tours for Hgv drivers."),
    ],
)
def test_a_slip_of_form_counts_more_than_the_fact_as_it_is(name: str, plain: str, slip: str) -> None:
    assert feature(name, "Cider", slip) > feature(name, "Cider", plain)


def test_a_price_without_the_from_and_the_unit_of_the_brief_is_noticed() -> None:
    boats = BRIEF.model_copy(update={"ad": BRIEF.ad.model_copy(update={"selling_points": ("Boats from £42 a day",)})})
    grams = packaged_judge().grams
    kept = features("words", boats, AdText(title="Boats", description="Boats from £42 a day."), grams)
    lost = features("words", boats, AdText(title="Boats", description="Boats £42."), grams)
    assert (kept["limit_lost"], kept["unit_lost"]) == (0, 0)
    assert (lost["limit_lost"], lost["unit_lost"]) == (1, 1)


@pytest.mark.parametrize("text", ["", "？", "苹果", "🙂 🙂", "!!!"])
def test_any_text_gets_a_judgement(text: str) -> None:
    (judgement,) = packaged_judge().score([(BRIEF, AdText(title=text, description=text))])
    assert 0 <= judgement.publishable <= 1


def test_a_brief_in_another_language_is_refused() -> None:
    with pytest.raises(ValueError, match="judges English texts only"):
        packaged_judge().score([(BRIEF.model_copy(update={"locale": "ja-JP"}), TEXT)])


def test_the_serving_threshold_lets_no_more_through_than_the_config_allows() -> None:
    random = np.random.default_rng(1)
    kinds = ["good"] * 200 + ["false"] * 100 + ["clumsy"] * 100 + ["misspelt"] * 60
    items = [Example(BRIEF, TEXT, kind, True, True, 1.0) for kind in kinds]
    scores = np.concatenate((random.beta(5, 2, 200), random.beta(2, 4, 260)))
    config = JudgeConfig(most_false=0.05, most_clumsy=0.15, most_corrupted=0.05)
    chosen = thresholds(Examples(items, np.zeros((len(items), 1)), ("x",)), scores, config)
    passes = {kind: float((scores[np.array(kinds) == kind] >= chosen.serve).mean()) for kind in set(kinds)}
    assert passes["false"] <= 0.05
    assert passes["clumsy"] <= 0.15
    assert passes["misspelt"] <= 0.05
    assert chosen.review <= chosen.serve
    everything = JudgeConfig(most_false=1, most_mangled=1, most_clumsy=1, most_corrupted=1)
    assert thresholds(Examples(items, np.zeros((len(items), 1)), ("x",)), scores, everything).serve == 0


@pytest.mark.parametrize("verdict", ["false", "mangled"])
def test_of_advertisers_it_never_saw_few_bad_texts_reach_the_serving_threshold(verdict: str) -> None:
    judge = packaged_judge()
    tested = [label for label in load_labels() if label.part == "test"]
    passed = {
        kind: np.mean([judgement.publishable >= judge.thresholds.serve for judgement in judge.score(
            [(label.brief, label.text) for label in tested if label.verdict == kind]
        )])
        for kind in ("good", verdict)
    }  # fmt: skip
    assert passed["good"] > 0.35
    assert passed[verdict] <= 0.1
