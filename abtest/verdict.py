"""The verdict on a treatment, as a sentence. It never says "no effect": an interval that contains zero contains other
changes too.

The report may be read every day, so the always-valid interval decides until the planned units are mature. The fixed
interval decides only at that point, once, on the sums of that point. Several treatments share one error rate: Holm's
p-values decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from abtest.lift import COUNTS_BELOW, TAGGED_BELOW, Evidence, Lift, evidence, ratio_lift
from abtest.sequential import always_valid_lift, always_valid_share
from abtest.stats import holm
from abtest.sums import UnitSums

Status = Literal[
    "better",
    "worse",
    "leaning_better",
    "leaning_worse",
    "no_clear_difference",
    "too_early",
    "nothing_to_compare",
    "withheld",
]
DecidedBy = Literal["fixed", "always_valid"]

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """One treatment against control on one metric: the interval for one look, the interval for daily looks, and the
    kind of verdict that the data support.
    """

    shown: Lift  # Fieller's; the exact method's under 10 effective conversions in an arm
    always_valid: Lift  # with one arm low: of the conditional share
    evidence: Evidence
    adjusted_p: float | None  # Holm's over the treatments, of the shown lift
    adjusted_always_valid_p: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    status: Status
    sentence: str
    decided_by: DecidedBy


@dataclass(frozen=True, slots=True)
class Decision:
    """Which interval decides, and one sentence that gives the reason and says until when."""

    decided_by: DecidedBy
    sentence: str


def compare_arms(treatments: Sequence[UnitSums], control: UnitSums, *, planned_units: float) -> list[Comparison]:
    """Every treatment against control, p-values adjusted over the treatments."""
    levels = [evidence(treatment, control) for treatment in treatments]
    shown = [
        ratio_lift(
            treatment,
            control,
            confidence=1 - ALPHA,
            method="exact" if level in ("counts", "one_low") else "fieller",
        )
        for treatment, level in zip(treatments, levels, strict=True)
    ]
    always_valid = [
        always_valid_share(treatment, control, alpha=ALPHA)
        if level == "one_low"
        else always_valid_lift(treatment, control, planned_units=planned_units, alpha=ALPHA)
        for treatment, level in zip(treatments, levels, strict=True)
    ]
    adjusted, adjusted_always_valid = (
        adjust([lift.p_value for lift in lifts], holm) for lifts in (shown, always_valid)
    )
    return [
        Comparison(*parts) for parts in zip(shown, always_valid, levels, adjusted, adjusted_always_valid, strict=True)
    ]


def adjust(ps: Sequence[float | None], method: Callable[[Sequence[float]], Sequence[float]]) -> list[float | None]:
    """Adjusted p-values in the order given; a comparison without a p-value keeps None and takes no part."""
    adjusted = iter(method([p for p in ps if p is not None]))
    return [None if p is None else next(adjusted) for p in ps]


def verdict(comparison: Comparison, *, name: str, final: bool, alarm: bool) -> Verdict:
    """The verdict on the treatment called `name`.

    final: the comparison is that of the point at which the planned units were mature, so the fixed interval decides;
    alarm: the sample-ratio check failed.
    """
    decided_by: DecidedBy = "fixed" if final else "always_valid"
    if alarm:
        sentence = (
            "No verdict: units did not fall into the arms as configured, so the arms cannot be compared. "
            "Find the lost units first."
        )
        return Verdict("withheld", sentence, decided_by)
    if comparison.shown.p_value is None:
        return Verdict("nothing_to_compare", f"Nothing to compare yet: {comparison.shown.note}.", decided_by)
    if comparison.evidence == "counts":
        sentence = (
            f"Too early to say: under {COUNTS_BELOW} effective conversions in both arms. "
            f"The exact interval: {interval(comparison.shown)}."
        )
        return Verdict("too_early", sentence, decided_by)
    if comparison.evidence == "one_low":
        return _one_arm_low(comparison, name)
    return _full(comparison, name, decided_by)


def _one_arm_low(comparison: Comparison, name: str) -> Verdict:
    """Only harm may be declared, and the always-valid test of the share of conversions declares it."""
    lift, p = comparison.always_valid, comparison.adjusted_always_valid_p
    up = (comparison.shown.difference or 0) > 0
    low_arm = "control" if up else name
    significant = p is not None and p < ALPHA
    if significant and not up:
        return Verdict("worse", f"{name} is worse: CTCVR {_change(lift)}.", "always_valid")
    few = f"under {COUNTS_BELOW} effective conversions in {low_arm}"
    if significant:
        sentence = f"{name} leans better: CTCVR {_change(lift)}. No win is declared with {few}."
        return Verdict("leaning_better", sentence, "always_valid")
    return Verdict("too_early", f"Too early to say: {few}. Interval: {interval(lift)}.", "always_valid")


def _full(comparison: Comparison, name: str, decided_by: DecidedBy) -> Verdict:
    final = decided_by == "fixed"
    shown = comparison.shown
    lift, p = (shown, comparison.adjusted_p) if final else (comparison.always_valid, comparison.adjusted_always_valid_p)
    tag = (
        f" Few conversions (under {TAGGED_BELOW} effective in an arm): the interval is approximate."
        if comparison.evidence == "tagged"
        else ""
    )
    up = (shown.difference or 0) > 0
    change = f"CTCVR {_change(lift)}"
    if p is not None and p < ALPHA:
        word = "better" if up else "worse"
        return Verdict("better" if up else "worse", f"{name} is {word}: {change}.{tag}", decided_by)
    if comparison.adjusted_p is not None and comparison.adjusted_p < ALPHA:
        sentence = f"{name} leans {'better' if up else 'worse'}, not safe to stop on yet: {change}.{tag}"
        return Verdict("leaning_better" if up else "leaning_worse", sentence, decided_by)
    if lift.low is None and shown.low is not None:
        range_ = f"{interval(shown)} at this one look; the always-valid interval has no limits yet"
    else:
        range_ = interval(lift)
    return Verdict("no_clear_difference", f"No clear difference{'' if final else ' yet'}, {range_}.{tag}", decided_by)


def decision(
    *, planned_units: int, units: int, ended: bool, decided_on: date | None, expected_on: date | None = None
) -> Decision:
    """Which interval decides, why, and until when.

    decided_on: the day at whose end the planned units were mature, None before; ended: the experiment was stopped or
    its weights were changed; expected_on: when the planned units should be mature at the current rate.
    """
    if decided_on is not None:
        sentence = (
            f"The fixed interval decided once, on {decided_on}, when the {planned_units:,} planned units were mature; "
            "later data do not change the verdict."
        )
        return Decision("fixed", sentence)
    if ended:
        sentence = (
            f"The always-valid interval decides: the phase ended with {units:,} of {planned_units:,} planned units "
            "mature, and ending early never switches to the fixed interval."
        )
        return Decision("always_valid", sentence)
    until = f", expected on {expected_on}" if expected_on else ""
    sentence = (
        f"The always-valid interval decides until the {planned_units:,} planned units are mature "
        f"({units:,} so far{until}), because the report may be read every day."
    )
    return Decision("always_valid", sentence)


def _change(lift: Lift) -> str:
    """+20 % (+14 % to +26 %); without a baseline only the interval."""
    return interval(lift) if lift.value is None else f"{percent(lift.value)} ({interval(lift)})"


def interval(lift: Lift) -> str:
    """−3 % to +9 %, or the reason why there is no interval."""
    if lift.low is None and lift.high is None:
        return f"no relative interval: {lift.note}" if lift.note else "no relative interval"
    low = "no lower limit" if lift.low is None else percent(lift.low)
    high = "no upper limit" if lift.high is None else percent(lift.high)
    return f"{low} to {high}"


def percent(change: float) -> str:
    """A relative change as text: +9.2 %, −34 %, 0 %."""
    points = round(change * 100, 1 if abs(change) < 0.0995 else 0)
    sign = "+" if points > 0 else "−" if points < 0 else ""
    return f"{sign}{abs(points):,.15g} %"
