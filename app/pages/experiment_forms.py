"""The forms that change experiments, for scope ops: draft, start, ramp, reweigh, stop. They call the same services as
the API.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from app.container import Container, ContainerDep
from app.core.defaults import PLANNED_UNITS, WINDOW_HOURS
from app.core.problems import FieldProblem, Problem, field_problem
from app.http.auth import actor
from app.pages.forms import checked
from app.pages.frame import HOME, PageRoute, Viewer, page, viewer
from app.routes.experiments import ExperimentBody, RampBody, WeightsBody
from app.services.experiments import lifecycle
from app.services.experiments.lifecycle import ArmWish, ExperimentRecord
from app.store.database import AsyncConnection

router = APIRouter(include_in_schema=False, route_class=PageRoute)

Operator = Annotated[Viewer, Depends(viewer("ops"))]
NEW = "/pages/new-experiment"
_ARM_ROWS = 4
_LARGEST_WHOLE = 2**53  # above it a float cannot represent every whole number
_FIRST = {
    "layer": "default",
    "coverage_percent": "100",
    "window_days": str(WINDOW_HOURS // 24),
    "planned_units": str(PLANNED_UNITS),
}
_NO_ARM = {"name": "", "policy": "", "weight": ""}


@router.get(NEW)
async def form(request: Request, container: ContainerDep, who: Operator) -> Response:
    given = {name: request.query_params[name] for name in ("planned_units", "layer") if name in request.query_params}
    challenger = "challenger" if "challenger" in container.state.registry.aliases else "champion"
    arms = [
        {"name": "control", "policy": "champion", "weight": "50"},
        {"name": "treatment", "policy": challenger, "weight": "50"},
    ]
    return _form(request, container, who, {"name": "", **_FIRST, **given}, arms)


@router.post(NEW)
async def create(request: Request, container: ContainerDep, who: Operator) -> Response:
    sent = await request.form()
    values = {name: str(sent.get(name, "")).strip() for name in ("name", *_FIRST)}
    arms = _arms(sent)
    try:
        body = ExperimentBody.model_validate(_body(values, arms))
        wishes = [ArmWish(arm.name, arm.policy, arm.weight) for arm in body.arms]
        return await _change(
            container,
            lambda connection: lifecycle.create(
                connection, name=body.name, arms=wishes, layer=body.layer, coverage=body.coverage, low=None,
                window_hours=body.window_hours, planned_units=body.planned_units, salt=None, actor=actor(who.key),
            ),
        )  # fmt: skip
    except ValidationError as error:
        return _form(request, container, who, values, arms, [field_problem(item) for item in error.errors()], 422)
    except Problem as problem:
        problems = problem.errors or [FieldProblem(field="", value="", rule=problem.rule or "", detail=problem.detail)]
        return _form(request, container, who, values, arms, problems, problem.status)


@router.post(HOME + "/{name}/start")
async def start(name: str, container: ContainerDep, who: Operator) -> Response:
    return await _change(container, lambda connection: lifecycle.start(connection, name, actor=actor(who.key)))


@router.post(HOME + "/{name}/ramp")
async def ramp(name: str, container: ContainerDep, who: Operator, coverage_percent: Annotated[str, Form()]) -> Response:
    coverage = checked(RampBody, coverage_percent=_number(coverage_percent)).coverage
    return await _change(
        container, lambda connection: lifecycle.ramp(connection, name, coverage=coverage, actor=actor(who.key))
    )


@router.post(HOME + "/{name}/weights")
async def reweigh(name: str, container: ContainerDep, who: Operator, weights: Annotated[list[str], Form()]) -> Response:
    wanted = checked(WeightsBody, weights=[_number(weight) for weight in weights]).weights
    return await _change(
        container, lambda connection: lifecycle.reweigh(connection, name, weights=wanted, actor=actor(who.key))
    )


@router.post(HOME + "/{name}/stop")
async def stop(name: str, container: ContainerDep, who: Operator, sure: Annotated[str, Form()] = "") -> Response:
    if sure != "yes":
        raise Problem(
            422,
            "not_sure",
            f"stopping {name} cannot be undone: go back and tick the box next to the button",
            field="sure",
            value=sure,
        )
    return await _change(container, lambda connection: lifecycle.stop(connection, name, actor=actor(who.key)))


async def _change(container: Container, change: Callable[[AsyncConnection], Awaitable[ExperimentRecord]]) -> Response:
    async with container.database.begin() as connection:
        changed = await change(connection)
    await container.state.refresh()
    return RedirectResponse(f"{HOME}/{quote(changed.name, safe='')}", 303)


def _form(
    request: Request,
    container: Container,
    who: Viewer,
    values: dict[str, str],
    arms: list[dict[str, str]],
    problems: list[FieldProblem] | None = None,
    status: int = 200,
) -> Response:
    registry = container.state.registry
    rows = [*arms, *([_NO_ARM] * (_ARM_ROWS - len(arms)))]
    context = {
        "values": values,
        "arms": rows,
        "problems": problems or [],
        "aliases": registry.aliases,
        "policies": registry.policies,
    }
    return page(request, "new_experiment.html", who, status=status, **context)


def _arms(sent: FormData) -> list[dict[str, str]]:
    """The rows of arms that are not empty."""
    columns = {
        name: [str(value).strip() for value in sent.getlist(f"arm_{name}")] for name in ("name", "policy", "weight")
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=False)]
    return [row for row in rows if row["name"]]


def _body(values: dict[str, str], arms: list[dict[str, str]]) -> dict[str, Any]:
    """The fields of the API request. A window that is not a number of days is passed on unchanged, and validation
    reports it.
    """
    days = _number(values["window_days"])
    hours = days * 24 if isinstance(days, int | float) else days
    numbers = {name: _number(values[name]) for name in ("coverage_percent", "planned_units")}
    return {"name": values["name"], "layer": values["layer"], **numbers} | {
        "window_hours": hours,
        "arms": [arm | {"weight": _number(arm["weight"])} for arm in arms],
    }


def _number(written: str) -> object:
    """The value of a form field as a number. Text that is not a number stays as it is, and validation reports it."""
    try:
        value = float(written)
    except ValueError:
        return written
    return int(value) if value.is_integer() and abs(value) < _LARGEST_WHOLE else value
