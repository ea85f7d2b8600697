"""The demonstration: made-up people, a clock that moves ahead, and a report that counts what the people did."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from rich.progress import Progress

from app.core.settings import Settings
from app.demo.clock import DemoClock
from app.demo.learn import learn
from app.demo.people import BOTS, Person, chances, crowd
from app.demo.play import EXPERIMENT, Plan, Play
from app.demo.run import DemoStack, first_day, play_out
from app.up.child import UpError

BRIEF = {
    "query": "running shoes for wide feet",
    "locale": "en-US",
    "bidwords": ["wide running shoes"],
    "ad": {"id": "a", "advertiser": "Fernhill", "industry": "apparel", "selling_points": ["Resoling for $39"]},
}
PLAN = Plan(people=300, days=3, seed=4)


def text(title: str, description: str = "") -> dict[str, str]:
    return {"title": title, "description": description}


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (text("Wide Running Shoes"), text("New This Week")),  # takes up what they asked for
        (text("Shoes", "Resoling for $39."), text("Shoes", "Resoling.")),  # states an offer of the brief
        (text("Shoes", "Resoling for $39."), text("Shoes", "Resoling for $12.")),  # which no other amount is
    ],
)
def test_people_click_and_order_more_where_a_text_answers_them(better: dict[str, str], worse: dict[str, str]) -> None:
    person = Person("p", BRIEF, bot=False)
    assert all(more > less for more, less in zip(chances(person, better), chances(person, worse), strict=True))


def test_a_title_that_was_seen_before_is_clicked_less_and_ordered_from_as_before() -> None:
    person = Person("p", BRIEF, bot=False)
    click, order = chances(person, text("Wide Running Shoes"))
    person.seen["Wide Running Shoes"] += 3
    again = chances(person, text("Wide Running Shoes"))
    assert again[0] < click
    assert again[1] == order


def test_a_crowd_is_the_same_for_a_seed_and_has_its_share_of_bots() -> None:
    people = crowd(20_000, [BRIEF], random.Random(1))
    assert people == crowd(20_000, [BRIEF], random.Random(1))
    assert mean(person.bot for person in people) == pytest.approx(BOTS, abs=0.005)


def test_the_clock_jumps_ahead_never_back_and_arrives_in_the_present() -> None:
    present = datetime.now(UTC)
    clock = DemoClock(present - timedelta(days=10))
    try:
        assert datetime.now(UTC) < present - timedelta(days=9)
        clock.move(present - timedelta(days=5))
        assert timedelta(0) <= datetime.now(UTC) - (present - timedelta(days=5)) < timedelta(hours=1)
        with pytest.raises(ValueError, match="never goes back"):
            clock.move(present - timedelta(days=6))
    finally:
        arrived = clock.move(None)
    assert arrived >= present
    with pytest.raises(ValueError, match="arrived in the present"):
        clock.move(present + timedelta(days=1))


@pytest.fixture(scope="module")
def played() -> Iterator[tuple[DemoStack, Play]]:
    """A demonstration without a model: both arms serve templates."""
    with (
        TemporaryDirectory(prefix="relate-demo-") as folder,
        DemoStack(Settings(data_dir=Path(folder), port=0), first_day(PLAN), model=False) as stack,
        Progress(disable=True) as progress,
    ):
        yield stack, play_out(stack, [BRIEF], PLAN, progress)


def get(stack: DemoStack, path: str) -> Any:
    headers = {"Authorization": f"Bearer {stack.keys['report']}"}
    return httpx.get(stack.url + path, headers=headers, timeout=30, trust_env=False).raise_for_status().json()


def test_the_report_of_the_days_counts_what_the_people_did(played: tuple[DemoStack, Play]) -> None:
    stack, play = played
    report = get(stack, f"/experiments/{EXPERIMENT}/report")
    assert play.rejected == {}
    counted = {metric["metric"]: metric for metric in report["metrics"]}
    for arm, side in (("templates", "control"), ("policy", "treatment")):
        tally = play.tallies[arm]
        assert counted["ctr"][side]["denominator"] == tally.impressions  # all mature, the bots' left out
        assert counted["ctr"][side]["numerator"] == tally.clicks
        assert 0 < counted["ctcvr"][side]["numerator"] <= tally.orders  # a late order does not count


def test_a_demonstration_begins_on_a_fresh_platform(played: tuple[DemoStack, Play]) -> None:
    stack, _ = played
    with pytest.raises(UpError, match="begins on a fresh platform"), Progress(disable=True) as progress:
        play_out(stack, [BRIEF], PLAN, progress)


def job(state: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"id": "j", "state": state, "steps": list(steps), "error": "it waits"}


def step(kind: str, state: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "s",
        "kind": kind,
        "state": state,
        "started_at": "t",
        "done": None,
        "total": None,
        "error": None,
    } | more


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (job("rejected", step("gate", "rejected")), "the champion stays"),
        (job("succeeded", step("gate", "succeeded")), "beside the champion"),
        (job("rejected", step("gate", "succeeded"), step("canary", "rejected")), "beside the champion. it waits"),
    ],
)
def test_both_decisions_of_the_gate_are_endings(
    monkeypatch: pytest.MonkeyPatch, ending: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr("app.demo.learn.time.sleep", lambda seconds: None)
    answers = iter([job("queued"), job("running", step("grpo", "running", done=3, total=8)), ending])
    with Progress(disable=True) as progress:
        assert said in learn(lambda *call: next(answers), progress)
        assert next((task.description, task.completed) for task in progress.tasks) == ("grpo", 3)


def test_a_step_that_failed_ends_the_demonstration_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.demo.learn.time.sleep", lambda seconds: None)
    answers = iter([job("queued"), job("failed", step("reward", "failed", error="too few conversions"))])
    with Progress(disable=True) as progress, pytest.raises(UpError, match="too few conversions"):
        learn(lambda *call: next(answers), progress)
