"""A report's series: ΔCTCVR over the days, and by the day of a unit's first impression."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from abtest.document import CohortPoint, DayPoint
from abtest.sequential import always_valid_lift
from abtest.verdict import ALPHA, compare_arms
from app.services.reports.question import Question
from app.store.sums import DaySums, RunningSums, funnel_sums


def daily(question: Question, mature: Sequence[DaySums]) -> list[DayPoint]:
    """The cumulative lift, day by day of the impression, each with the always-valid band of its day."""
    so_far = [RunningSums() for _ in question.arms]
    points = []
    for day, rows in groupby(mature, key=lambda row: row.day):
        for row in rows:
            so_far[row.arm].add(row)
        control, *treatments = [arm.sums for arm in so_far]
        for arm, treatment in zip(question.arms[1:], treatments, strict=True):
            lift = always_valid_lift(treatment.ctcvr, control.ctcvr, planned_units=question.planned_units, alpha=ALPHA)
            units = control.n + treatment.n
            points.append(DayPoint(day=day, arm=arm.name, value=lift.value, low=lift.low, high=lift.high, units=units))
    return points


def cohorts(question: Question, mature: Sequence[DaySums]) -> list[CohortPoint]:
    """The lift of the units whose first impression came on a day."""
    points = []
    for first_day, rows in groupby(sorted(mature, key=lambda row: row.first_day), key=lambda row: row.first_day):
        cohort = list(rows)
        control, *treatments = [
            funnel_sums(row for row in cohort if row.arm == number) for number in range(len(question.arms))
        ]
        for arm, treatment in zip(question.arms[1:], treatments, strict=True):
            (comparison,) = compare_arms([treatment.ctcvr], control.ctcvr, planned_units=question.planned_units)
            lift, units = comparison.shown, control.n + treatment.n
            points.append(
                CohortPoint(
                    first_day=first_day, arm=arm.name, value=lift.value, low=lift.low, high=lift.high, units=units
                )
            )
    return points
