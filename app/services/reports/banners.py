"""The warnings above the figures of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from abtest.document import ArmAnswer, Banner, SampleRatioAnswer
from abtest.lift import COUNTS_BELOW
from abtest.verdict import Comparison

SET_ASIDE_SHARE = 0.05  # a larger share of orphans, view-through or shifted clocks raises a banner
_NAMED = 3  # heavy units listed in one sentence; the document lists all
_OUTSTANDING = 2.0  # times the mean of its arm: in an arm of few units, every unit exceeds 5 %


def banners(
    arms: Sequence[ArmAnswer], ratios: Sequence[SampleRatioAnswer], compared: Sequence[Comparison], violations: int
) -> list[Banner]:
    """Alarms first, then warnings, then notes."""
    return [
        *_sample_ratio(ratios),
        *_violations(violations),
        *_two_arms(arms),
        *_heavy_units(arms),
        *_set_aside(arms),
        *_low_counts(arms, compared),
        *_maturity(arms),
        *_changed_arm(arms),
    ]


def _sample_ratio(ratios: Sequence[SampleRatioAnswer]) -> Iterator[Banner]:
    for ratio in ratios:
        if ratio.alarm:
            sentence = (
                f"The {ratio.counted} units do not fall into the arms as configured "
                f"({ratio.note or f'p = {ratio.p_value:.2g}'}): units were lost or counted twice, and the arms cannot "
                "be compared."
            )
            yield Banner(kind="sample_ratio", level="alarm", sentence=sentence)


def _violations(violations: int) -> Iterator[Banner]:
    if violations:
        sentence = (
            f"{violations:,} impressions of texts in which a reviewer or later rules found a violation: the only good "
            "value is 0."
        )
        yield Banner(kind="served_violations", level="alarm", sentence=sentence)


def _two_arms(arms: Sequence[ArmAnswer]) -> Iterator[Banner]:
    crossed = max(arm.units_in_two_arms for arm in arms)
    if crossed:
        sentence = (
            f"{crossed:,} units or more saw two arms and are left out of every figure: unit ids may be shared, or "
            "tokens mixed up."
            if len(arms) > 2
            else f"{crossed:,} units saw both arms and are left out of every figure: unit ids may be shared, or tokens "
            "mixed up."
        )
        yield Banner(kind="two_arms", level="warning", sentence=sentence)


def _heavy_units(arms: Sequence[ArmAnswer]) -> Iterator[Banner]:
    for arm in arms:
        outstanding = [unit for unit in arm.heavy_units if unit.share * arm.units >= _OUTSTANDING]
        if outstanding:
            named = ", ".join(f"{unit.unit} ({unit.share:.0%})" for unit in outstanding[:_NAMED])
            more = f" and {len(outstanding) - _NAMED} more" if len(outstanding) > _NAMED else ""
            sentence = (
                f"Single units bring over 5 % of {arm.arm}'s impressions: {named}{more}. Check for a shared id, a bot "
                "or a test client."
            )
            yield Banner(kind="heavy_unit", level="warning", sentence=sentence)


def _set_aside(arms: Sequence[ArmAnswer]) -> Iterator[Banner]:
    """What is reported and not counted, once it is more than a few. All arms together: a sender reports for each."""
    parts = [arm.set_aside for arm in arms]
    for share, what, check in (
        (
            _share(sum(part.orphans for part in parts), sum(part.tokens for part in parts)),
            "of the tokens have a click or conversion and no impression",
            "impressions are lost, or come from another sender",
        ),
        (
            _share(sum(part.view_through for part in parts), sum(part.conversions for part in parts)),
            "of the conversions have no click before them (view-through)",
            "clicks are lost, or a clock is wrong",
        ),
        (
            _share(sum(part.shifted for part in parts), sum(part.impressions for part in parts)),
            "of the impressions are a whole number of hours after their serving",
            "a sender's clock is in another time zone",
        ),
    ):
        if share > SET_ASIDE_SHARE:
            sentence = f"{share:.0%} {what}, and are not counted. Check whether {check}."
            yield Banner(kind="set_aside", level="warning", sentence=sentence)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _low_counts(arms: Sequence[ArmAnswer], compared: Sequence[Comparison]) -> Iterator[Banner]:
    if any(arm.impressions for arm in arms) and any(comparison.evidence != "full" for comparison in compared):
        sentence = (
            f"Few conversions: intervals are approximate. Under {COUNTS_BELOW} effective conversions in both arms, "
            "there is no verdict; under it in one arm, only harm is reported."
        )
        yield Banner(kind="low_counts", level="warning", sentence=sentence)


def _maturity(arms: Sequence[ArmAnswer]) -> Iterator[Banner]:
    immature, mature = sum(arm.immature_impressions for arm in arms), sum(arm.impressions for arm in arms)
    if not mature:
        waiting = (
            f"{immature:,} impressions wait for their attribution window to close"
            if immature
            else "none are waiting either"
        )
        yield Banner(kind="no_data", level="note", sentence=f"No impressions are mature yet: {waiting}.")
    elif immature:
        share = immature / (immature + mature)
        sentence = f"{share:.0%} of the impressions ({immature:,}) are not yet mature and are not counted."
        yield Banner(kind="immature", level="note", sentence=sentence)


def _changed_arm(arms: Sequence[ArmAnswer]) -> Iterator[Banner]:
    if changed := sum(arm.units_that_changed_arm for arm in arms):
        sentence = (
            f"{changed:,} units of this phase were in another arm in an earlier phase: what they saw then may still "
            "influence them."
        )
        yield Banner(kind="changed_arm", level="note", sentence=sentence)
