"""CTCVR broken down by a property of the texts."""

from __future__ import annotations

from abtest.document import Breakdown, BreakdownRow, LiftAnswer
from abtest.stats import benjamini_hochberg
from abtest.sums import FunnelSums
from abtest.verdict import ALPHA, adjust, compare_arms
from app.services.reports.document import rate
from app.services.reports.question import Question
from app.store.database import AsyncConnection
from app.store.sums import Dimension, breakdown_sums

_AFTER_ASSIGNMENT: frozenset[Dimension] = frozenset({"source"})  # properties that the treatment changes
_UNTESTED = "the treatment changes this property, so the groups of the arms are not comparable"


async def breakdown(connection: AsyncConnection, question: Question, dimension: Dimension) -> Breakdown:
    """CTCVR of every treatment by one property of the texts.

    Marks use the Benjamini–Hochberg adjustment. A property that the treatment changes has no marks, because its groups
    are not comparable between arms.
    """
    sums = await breakdown_sums(connection, question.phase.id, question.view, question.cutoff, dimension)
    nothing = FunnelSums(*([0] * 10))
    pairs = [
        (value, number, sums.get((value, number), nothing).ctcvr, sums.get((value, 0), nothing).ctcvr)
        for value in sorted({value for value, _ in sums})
        for number in range(1, len(question.arms))
    ]
    lifts = [
        LiftAnswer.of(compare_arms([treatment], control, planned_units=question.planned_units)[0].shown)
        for _, _, treatment, control in pairs
    ]
    if dimension in _AFTER_ASSIGNMENT:
        lifts = [_untested(lift) for lift in lifts]
    adjusted = adjust([lift.p_value for lift in lifts], benjamini_hochberg)
    rows = [
        BreakdownRow(
            value=value,
            arm=question.arms[number].name,
            control=rate(control),
            treatment=rate(treatment),
            lift=lift,
            adjusted_p=p,
            marked=p is not None and p < ALPHA,
        )
        for (value, number, treatment, control), lift, p in zip(pairs, lifts, adjusted, strict=True)
    ]
    return Breakdown(
        experiment=question.experiment.name,
        phase=question.phase.number,
        dimension=dimension,
        view=question.view,
        as_of=question.as_of.astimezone(question.zone),
        warning=_warning(dimension, len(rows)),
        rows=rows,
    )


def _untested(lift: LiftAnswer) -> LiftAnswer:
    return LiftAnswer(
        value=lift.value,
        difference=lift.difference,
        low=None,
        high=None,
        p_value=None,
        z=None,
        se=None,
        method="none",
        note=_UNTESTED,
    )


def _warning(dimension: Dimension, comparisons: int) -> str:
    if dimension in _AFTER_ASSIGNMENT:
        return (
            f"The treatment itself changes the {dimension} of its texts, so these rows describe what was served and "
            "carry no significance: decide on the headline."
        )
    return (
        f"{comparisons} comparisons: about one in twenty would be significant by chance alone. Marks are adjusted for "
        "that; decide on the headline."
    )
