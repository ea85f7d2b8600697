"""The canary's decision: one pure step from what the experiment's report shows to what happens next.

Harm on CTCVR rolls back. A guardrail that does not hold pauses the ramp, or rolls back where the rules say so. Enough
time on a share widens it. A win promotes, or asks a person to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from typing import Literal

from abtest.document import ArmGuardrails, Report, VerdictAnswer
from app.services.canary.rules import CanaryRules, State

Kind = Literal["hold", "ramp", "pause", "roll_back", "ask", "promote", "stop"]

MIN_COUNT = 50  # candidates, judged texts, requests or impressions per arm: shares of fewer say nothing
MIN_LATENCIES = 500  # requests per arm: a 95th percentile of fewer rests on a handful
SLOWER_MS = 5.0  # a smaller rise of latency harms nobody
# A gap counts when it is larger than its margin and than this many standard errors. Chance alone exceeds four at one of
# 30,000 looks, and a canary is looked at some hundred times.
STANDARD_ERRORS = 4.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a canary stands."""

    state: State
    share: int  # index of the current coverage in the rules' `shares`
    since: datetime  # when it came to this share


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a report says about the challenger, the second arm, and the champion, the first."""

    champion: ArmGuardrails
    challenger: ArmGuardrails
    impressions: tuple[int, int]  # shown so far, mature or not
    sample_ratio_alarms: tuple[str, ...]  # which counts do not fall into the arms as configured
    verdict: VerdictAnswer
    decided: bool  # the planned units are mature

    @staticmethod
    def of(report: Report) -> Evidence:
        shown = [arm.impressions + arm.immature_impressions for arm in report.arms]
        return Evidence(
            report.guardrails[0],
            report.guardrails[1],
            (shown[0], shown[1]),
            tuple(ratio.counted for ratio in report.sample_ratio if ratio.alarm),
            report.verdicts[0],
            report.decided_by == "fixed",
        )


@dataclass(frozen=True, slots=True)
class Action:
    """What happens next, and why, in one sentence."""

    kind: Kind
    reason: str


def step(standing: Standing, evidence: Evidence, rules: CanaryRules, now: datetime) -> Action:
    """The next action of a canary whose experiment runs."""
    verdict = evidence.verdict
    if verdict.status == "worse":
        return Action("roll_back", f"harm on CTCVR: {verdict.sentence}")
    if breached := "; ".join(breaches(evidence, rules)):
        if rules.on_breach == "roll_back":
            return Action("roll_back", breached)
        return Action("hold" if standing.state == "paused" else "pause", breached)
    if standing.state == "paused":
        return Action("hold", "paused, though the guardrails hold now: resume it, or roll it back")
    if _wins(evidence, rules):
        if standing.state == "won":
            return Action("hold", f"waits for a person to promote it: {verdict.sentence}")
        return Action("promote" if rules.promote_on_win else "ask", verdict.sentence)
    if evidence.decided:
        return Action("stop", f"no win when the planned units were mature: {verdict.sentence}")
    waited, share = now - standing.since, f"{rules.shares[standing.share]:g} %"
    if waited < timedelta(hours=rules.hours_per_share):
        return Action("hold", f"on {share} for {waited / timedelta(hours=1):.1f} of {rules.hours_per_share:g} hours")
    if standing.share + 1 == len(rules.shares):
        return Action("hold", f"on {share}, the last share: {verdict.sentence}")
    return Action("ramp", f"the guardrails hold on {share}")


def _wins(evidence: Evidence, rules: CanaryRules) -> bool:
    return evidence.verdict.status == "better" or (evidence.decided and rules.decision == "do_no_harm")


def breaches(evidence: Evidence, rules: CanaryRules) -> Iterator[str]:
    """The guardrails that do not hold, in words."""
    if evidence.sample_ratio_alarms:
        counted = " and ".join(evidence.sample_ratio_alarms)
        yield f"sample ratio: the {counted} units do not fall into the arms as configured"
    control, challenger = evidence.champion, evidence.challenger
    yield from _compliance(control, challenger, rules)
    yield from _gap(
        "the judge passes", (control.judge_pass_share, control.judged),
        (challenger.judge_pass_share, challenger.judged), rules.judge_margin, sign=-1,
    )  # fmt: skip
    for name, shares in (
        ("fallback share", (control.fallback_share, challenger.fallback_share)),
        ("answers without a text", (control.no_ad_share, challenger.no_ad_share)),
    ):
        yield from _gap(name, (shares[0], control.requests), (shares[1], challenger.requests), rules.fallback_margin)
    shown = evidence.impressions
    violations = [
        arm.served_violations / max(count, 1) for arm, count in zip((control, challenger), shown, strict=True)
    ]
    yield from _gap(
        "impressions with a violation", (violations[0], shown[0]), (violations[1], shown[1]), rules.violation_margin
    )
    yield from _latency(control, challenger, rules)


def _compliance(control: ArmGuardrails, challenger: ArmGuardrails, rules: CanaryRules) -> Iterator[str]:
    counts = [sum(row.candidates for row in arm.compliance) for arm in (control, challenger)]
    rate, floor = challenger.compliance_rate, rules.compliance_floor
    lost = list(
        _gap(
            "Compliance Rate", (control.compliance_rate, counts[0]), (rate, counts[1]), rules.compliance_margin, sign=-1
        )
    )
    yield from lost
    if lost or rate is None or counts[1] < MIN_COUNT:
        return
    if floor - rate > STANDARD_ERRORS * sqrt(floor * (1 - floor) / counts[1]):
        yield f"Compliance Rate {rate:.1%}, under {floor:.0%}"


def _gap(
    name: str,
    control: tuple[float | None, int],
    challenger: tuple[float | None, int],
    margin: float,
    *,
    sign: int = 1,
) -> Iterator[str]:
    """A sentence where the challenger's share is worse: by more than the margin, and by more than chance explains.

    control, challenger: a share, and the count that it is of. sign: -1 where a smaller share is worse.
    """
    (before, n), (after, m) = control, challenger
    if before is None or after is None or min(n, m) < MIN_COUNT:
        return
    gap = sign * (after - before)
    error = sqrt(max(share * (1 - share) for share in (before, after)) * (1 / n + 1 / m))
    if gap > margin and gap > STANDARD_ERRORS * error:
        yield f"{name} {after:.1%}, the champion's {before:.1%}"


def _latency(control: ArmGuardrails, challenger: ArmGuardrails, rules: CanaryRules) -> Iterator[str]:
    before, after = control.p95_latency_ms, challenger.p95_latency_ms
    if before is None or after is None or min(control.requests, challenger.requests) < MIN_LATENCIES:
        return
    if after > before * (1 + rules.latency_margin) and after > before + SLOWER_MS:
        yield f"95th percentile of the latency {after:.0f} ms, the champion's {before:.0f} ms"


def overtaken(version: str, champion: str, was: str, *, withdrawn: bool, experiment: str | None) -> Action | None:
    """What ends a canary from outside; None where nothing does.

    champion: the version that is it now; was: when the canary started; experiment: its state, None before the ramp.
    """
    if withdrawn:
        return Action("roll_back", f"{version} was withdrawn")
    if champion == version:
        return Action("promote", f"{version} was made champion")
    if champion != was:
        return Action("stop", f"the champion is {champion} now, no longer {was}: run the gate against it")
    if experiment == "stopped":
        return Action("stop", "its experiment was stopped")
    return None
