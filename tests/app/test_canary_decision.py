"""The canary's decision as a table: what the report shows, and what happens next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from abtest.document import ArmGuardrails, RulesCompliance, VerdictAnswer
from app.services.canary.decision import Action, Evidence, Standing, breaches, overtaken, step
from app.services.canary.rules import CanaryRules

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
RULES = CanaryRules()
ON_ONE = Standing("ramping", 0, NOW - timedelta(hours=25))


def guardrails(
    arm: str = "challenger", *, candidates: int = 1000, compliant: float = 0.97, **over: Any
) -> ArmGuardrails:
    counted = [RulesCompliance(rules_version="r", candidates=candidates, compliant=round(candidates * compliant))]
    values: dict[str, Any] = {
        "arm": arm, "compliance_rate": compliant, "compliance": counted, "served_violations": 0, "diversity": 0.9,
        "requests": 5000, "no_ad_share": 0.01, "fallback_share": 0.02, "p95_latency_ms": 40.0, "judged": 800,
        "judge_pass_share": 0.7, "impressions_per_unit": 1.0, "impressions_per_unit_lift": None,
        "impressions_per_unit_held": None,
    }  # fmt: skip
    return ArmGuardrails(**values | over)


def verdict(status: str = "no_clear_difference") -> VerdictAnswer:
    return VerdictAnswer(arm="challenger", status=status, sentence="CTCVR moved.", decided_by="always_valid")


def evidence(
    *, status: str = "no_clear_difference", decided: bool = False, alarms: tuple[str, ...] = (), **bad: Any
) -> Evidence:
    return Evidence(guardrails("champion"), guardrails(**bad), (4000, 4000), alarms, verdict(status), decided)


@pytest.mark.parametrize(
    ("standing", "shown", "rules", "kind", "said"),
    [
        (ON_ONE, evidence(), {}, "ramp", "the guardrails hold on 1 %"),
        (replace(ON_ONE, since=NOW), evidence(), {}, "hold", "on 1 % for 0.0 of 24 hours"),
        (replace(ON_ONE, share=3), evidence(), {}, "hold", "on 50 %, the last share"),
        (ON_ONE, evidence(status="worse"), {}, "roll_back", "harm on CTCVR"),
        (replace(ON_ONE, state="paused"), evidence(status="worse"), {}, "roll_back", "harm on CTCVR"),
        (ON_ONE, evidence(fallback_share=0.3), {}, "pause", "fallback share 30.0%, the champion's 2.0%"),
        (ON_ONE, evidence(fallback_share=0.3), {"on_breach": "roll_back"}, "roll_back", "fallback share"),
        (replace(ON_ONE, state="paused"), evidence(fallback_share=0.3), {}, "hold", "fallback share"),
        (replace(ON_ONE, state="paused"), evidence(), {}, "hold", "resume it"),
        (ON_ONE, evidence(status="better"), {}, "ask", "CTCVR moved."),
        (ON_ONE, evidence(status="better"), {"promote_on_win": True}, "promote", "CTCVR moved."),
        (replace(ON_ONE, state="won"), evidence(status="better"), {}, "hold", "waits for a person"),
        (ON_ONE, evidence(status="better", fallback_share=0.3), {"promote_on_win": True}, "pause", "fallback"),
        (replace(ON_ONE, state="paused"), evidence(status="better"), {"promote_on_win": True}, "hold", "resume it"),
        (ON_ONE, evidence(decided=True), {}, "stop", "no win when the planned units were mature"),
        (ON_ONE, evidence(decided=True), {"decision": "do_no_harm"}, "ask", "CTCVR moved."),
        (ON_ONE, evidence(decided=True, status="worse"), {"decision": "do_no_harm"}, "roll_back", "harm"),
        (ON_ONE, evidence(alarms=("assigned", "exposed")), {}, "pause", "the assigned and exposed units"),
    ],
)  # fmt: skip
def test_the_next_step_follows_from_where_it_stands_and_what_the_report_shows(
    standing: Standing, shown: Evidence, rules: dict[str, Any], kind: str, said: str
) -> None:
    action = step(standing, shown, CanaryRules(**rules), NOW)
    assert action.kind == kind and said in action.reason


@pytest.mark.parametrize(
    ("worse", "said"),
    [
        ({"compliant": 0.8}, "Compliance Rate 80.0%, the champion's 97.0%"),
        ({"judge_pass_share": 0.5}, "the judge passes 50.0%, the champion's 70.0%"),
        ({"no_ad_share": 0.2}, "answers without a text 20.0%, the champion's 1.0%"),
        ({"served_violations": 80}, "impressions with a violation 2.0%, the champion's 0.0%"),
        ({"p95_latency_ms": 90.0}, "95th percentile of the latency 90 ms, the champion's 40 ms"),
    ],
)
def test_each_guardrail_names_itself_and_the_champion_s_value(worse: dict[str, Any], said: str) -> None:
    assert list(breaches(evidence(**worse), RULES)) == [said]


@pytest.mark.parametrize(
    "few",
    [
        {"fallback_share": 1.0, "requests": 49, "no_ad_share": 0.01},
        {"candidates": 49, "compliant": 0.0},
        {"judged": 49, "judge_pass_share": 0.0},
        {"p95_latency_ms": 900.0, "requests": 499},
        {"p95_latency_ms": 44.0},  # within the margin
        {"fallback_share": 0.069},  # within the margin
        {"fallback_share": 0.12, "requests": 60},  # more than the margin, no more than chance
        {"served_violations": 1},
        {"compliance_rate": None, "judge_pass_share": None, "fallback_share": None, "no_ad_share": None},
    ],
)
def test_few_counts_small_gaps_and_chance_breach_nothing(few: dict[str, Any]) -> None:
    assert list(breaches(evidence(**few), RULES)) == []


def test_a_policy_that_hardly_complies_is_a_breach_without_a_champion_to_compare_with() -> None:
    silent = replace(evidence(compliant=0.2), champion=guardrails("champion", candidates=0, compliance_rate=None))
    assert list(breaches(silent, RULES)) == ["Compliance Rate 20.0%, under 50%"]


@given(share=st.floats(0, 1), requests=st.integers(0, 10**7))
def test_a_challenger_like_the_champion_breaches_nothing(share: float, requests: int) -> None:
    alike = {"fallback_share": share, "no_ad_share": share, "judge_pass_share": share, "requests": requests}
    same = Evidence(guardrails(**alike), guardrails(**alike), (requests, requests), (), verdict(), False)
    assert list(breaches(same, CanaryRules(fallback_margin=0, judge_margin=0, violation_margin=0))) == []


@pytest.mark.parametrize(
    ("champion", "withdrawn", "experiment", "expected"),
    [
        ("old", False, "running", None),
        ("old", False, None, None),
        ("old", True, "running", Action("roll_back", "new was withdrawn")),
        ("new", False, "running", Action("promote", "new was made champion")),
        (
            "third",
            False,
            "running",
            Action("stop", "the champion is third now, no longer old: run the gate against it"),
        ),
        ("old", False, "stopped", Action("stop", "its experiment was stopped")),
    ],
)
def test_what_people_do_meanwhile_ends_a_canary(
    champion: str, withdrawn: bool, experiment: str | None, expected: Action | None
) -> None:
    assert overtaken("new", champion, "old", withdrawn=withdrawn, experiment=experiment) == expected


@pytest.mark.parametrize("shares", [[], [5, 1], [1, 1], [0.001], [50, 101]])
def test_a_ramp_rises(shares: list[float]) -> None:
    with pytest.raises(ValidationError):
        CanaryRules(shares=shares)
