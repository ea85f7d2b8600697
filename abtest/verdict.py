"""What may be said of two arms, in words. Never "no effect": an interval that holds zero holds other changes too.

While an experiment runs and has not reached its planned units, it may be looked at every day, so the always-valid test
decides; afterwards the fixed one does. Several treatments share one promise: the p-values that decide are Holm's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from abtest.lift import COUNTS_BELOW, TAGGED_BELOW, Evidence, Lift, evidence, ratio_lift
from abtest.sequential import always_valid_lift
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

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """One treatment against control on one metric: the interval to read, the one to read daily, and how far the data
    carries.
    """

    shown: Lift  # Fieller's; the exact method's under 10 effective conversions in an arm
    always_valid: Lift
    evidence: Evidence
    adjusted_p: float | None  # Holm's over the treatments, of the shown lift
    adjusted_always_valid_p: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    status: Status
    sentence: str
    decided_by: Literal["fixed", "always_valid"]


def compare_arms(treatments: Sequence[UnitSums], control: UnitSums, *, planned_units: float) -> list[Comparison]:
    """Every treatment against control, p-values adjusted over the treatments."""
    levels = [evidence(treatment, control) for treatment in treatments]
    shown = [
        ratio_lift(treatment, control, confidence=1 - ALPHA, method="exact" if level == "counts" else "fieller")
        for treatment, level in zip(treatments, levels, strict=True)
    ]
    always_valid = [
        always_valid_lift(treatment, control, planned_units=planned_units, alpha=ALPHA) for treatment in treatments
    ]
    adjusted, adjusted_always_valid = (
        adjust([lift.p_value for lift in lifts], holm) for lifts in (shown, always_valid)
    )
    return [
        Comparison(*parts) for parts in zip(shown, always_valid, levels, adjusted, adjusted_always_valid, strict=True)
    ]


def adjust(ps: Sequence[float | None], method: Callable[[Sequence[float]], Sequence[float]]) -> list[float | None]:
    """Adjusted p-values in the order given; what has none keeps none and takes no part."""
    adjusted = iter(method([p for p in ps if p is not None]))
    return [None if p is None else next(adjusted) for p in ps]


def verdict(comparison: Comparison, *, name: str, final: bool, alarm: bool) -> Verdict:
    """What to say of a treatment called `name`.

    final: the planned units were reached or the experiment was stopped; alarm: units did not fall into the arms as
    configured.
    """
    decided_by: Literal["fixed", "always_valid"] = "fixed" if final else "always_valid"
    if alarm:
        sentence = "No verdict: units did not fall into the arms as configured, so the arms cannot be compared. Find the lost units first."
        return Verdict("withheld", sentence, decided_by)
    shown = comparison.shown
    if shown.p_value is None:
        return Verdict("nothing_to_compare", f"Nothing to compare yet: {shown.note}.", decided_by)
    if comparison.evidence == "counts":
        sentence = f"Too early to say: under {COUNTS_BELOW} effective conversions in an arm. The exact interval: {interval(shown)}."
        return Verdict("too_early", sentence, decided_by)
    tag = (
        f" Few conversions (under {TAGGED_BELOW} effective in an arm): read with care."
        if comparison.evidence == "tagged"
        else ""
    )
    fixed_p, daily_p = comparison.adjusted_p, comparison.adjusted_always_valid_p
    lift, p = (shown, fixed_p) if final else (comparison.always_valid, daily_p)
    assert shown.value is not None  # both arms have conversions
    up = shown.value > 0
    change = f"CTCVR {percent(shown.value)} ({interval(lift)})"
    if p is not None and p < ALPHA:
        return Verdict(
            "better" if up else "worse", f"{name} is {'better' if up else 'worse'}: {change}.{tag}", decided_by
        )
    if fixed_p is not None and fixed_p < ALPHA:
        sentence = f"{name} leans {'better' if up else 'worse'}, not safe to stop on yet: {change}.{tag}"
        return Verdict("leaning_better" if up else "leaning_worse", sentence, decided_by)
    if lift.low is None and shown.low is not None:
        range_ = f"{interval(shown)} at this one look; the always-valid interval has no limits yet"
    else:
        range_ = interval(lift)
    return Verdict("no_clear_difference", f"No clear difference{'' if final else ' yet'}, {range_}.{tag}", decided_by)


def interval(lift: Lift) -> str:
    """−3 % to +9 %; what is open is said so."""
    if lift.low is None and lift.high is None:
        return f"no relative interval: {lift.note}" if lift.note else "no relative interval"
    low = "no lower limit" if lift.low is None else percent(lift.low)
    high = "no upper limit" if lift.high is None else percent(lift.high)
    return f"{low} to {high}"


def percent(change: float) -> str:
    """A relative change as people read it: +9.2 %, −34 %, 0 %."""
    points = round(change * 100, 1 if abs(change) < 0.0995 else 0)
    sign = "+" if points > 0 else "−" if points < 0 else ""
    return f"{sign}{abs(points):,.15g} %"
