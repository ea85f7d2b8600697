"""The planner: how long an experiment must run to detect a lift, and which lift an experiment of a given length can
detect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response

from abtest.planning import achieved_power, minimum_detectable_lift, required_units
from app.core.problems import FieldProblem, field_problem
from app.pages.assets import PLOTLY
from app.pages.figures import Figure, power_curve
from app.pages.frame import ANALYSTS, PageRoute, Viewer, page, viewer

router = APIRouter(prefix="/pages/planner", include_in_schema=False, route_class=PageRoute)

_POINTS = 40  # points of the power curve
_LONGEST = 10_000  # days: a longer plan is not useful


class Wish(BaseModel):
    """The inputs of a plan, as they are typed into the form."""

    baseline_percent: Annotated[float, Field(ge=1e-6, lt=100, allow_inf_nan=False)] = 0.7
    lift_percent: Annotated[float, Field(ge=0.01, le=1000, allow_inf_nan=False)] = 5.0
    units_a_day: Annotated[int, Field(ge=1, le=10**9)] = 50_000
    impressions_per_unit: Annotated[float, Field(ge=0.001, le=10_000, allow_inf_nan=False)] = 2.0
    design_effect: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = 1.0
    power_percent: Annotated[float, Field(gt=5, lt=100, allow_inf_nan=False)] = 80.0
    days: Annotated[int, Field(ge=1, le=_LONGEST)] = 14

    @property
    def baseline(self) -> float:
        return self.baseline_percent / 100

    @property
    def power(self) -> float:
        return self.power_percent / 100


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan for two equal arms, in both directions."""

    units: int  # both arms together
    days: int
    smallest_lift: float | None  # detectable within wish.days; None: not even a rate of 1 could be detected
    units_in_days: int  # units of that experiment, both arms together
    curve: Sequence[tuple[int, float]]  # day, power


def plan(wish: Wish) -> Plan:
    """A two-sided test at 5 % with two equal arms. Raises ValueError when the lift raises the rate to 1 or more."""
    lift, spread = (
        wish.lift_percent / 100,
        {"impressions_per_unit": wish.impressions_per_unit, "design_effect": wish.design_effect},
    )
    units = 2 * max(1, required_units(wish.baseline, lift, power=wish.power, **spread))
    days = max(1, ceil(units / wish.units_a_day))
    smallest = minimum_detectable_lift(wish.baseline, _arm(wish, wish.days), power=wish.power, **spread)
    step = max(1, ceil(2 * days / _POINTS))
    curve = [
        (day, achieved_power(wish.baseline, lift, _arm(wish, day), **spread))
        for day in range(step, 2 * days + step, step)
    ]
    return Plan(units, days, smallest, wish.units_a_day * wish.days, curve)


def _arm(wish: Wish, days: int) -> int:
    return max(1, wish.units_a_day * days // 2)


@router.get("")
async def planner(request: Request, who: Annotated[Viewer, Depends(viewer(*ANALYSTS))]) -> Response:
    given = {
        name: value.strip()
        for name, value in request.query_params.items()
        if name in Wish.model_fields and value.strip()
    }
    defaults = Wish().model_dump()
    made, refused = _made({**defaults, **given})
    figure: Figure | None = None
    if made:
        days, powers = zip(*made.curve, strict=True)
        wanted = float(given.get("power_percent", defaults["power_percent"])) / 100
        figure = power_curve(days, powers, wanted=wanted, reached_on=made.days)
    context = {"plan": made, "refused": refused, "figure": figure, "plotly": PLOTLY, "values": {**defaults, **given}}
    return page(request, "planner.html", who, status=422 if refused else 200, **context)


def _made(values: dict[str, object]) -> tuple[Plan | None, dict[str, FieldProblem]]:
    """The plan, or the invalid fields of the form."""
    try:
        wish = Wish.model_validate(values)
    except ValidationError as error:
        problems = [field_problem(item) for item in error.errors()]
        return None, {problem.field: problem for problem in problems}
    try:
        return plan(wish), {}
    except ValueError as error:
        return None, {
            "lift_percent": FieldProblem(
                field="lift_percent", value=str(wish.lift_percent), rule="rate", detail=str(error)
            )
        }
