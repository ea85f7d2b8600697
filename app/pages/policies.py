"""Policies: a family tree of versions with their aliases, each version with its metrics and the gate's decisions, and
the forms that promote and roll back, for ops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from app.container import ContainerDep
from app.core.problems import Problem
from app.http.auth import actor
from app.pages.forms import checked
from app.pages.frame import ANALYSTS, PageRoute, Viewer, page, viewer
from app.routes.policies import PromoteBody
from app.services.canary import ramp
from app.services.canary.rules import OPEN, CanaryRules
from app.services.registry.promotion import Movable, unknown_policy
from app.store import canaries
from app.store import policies as store
from app.store.experiments import audit_of
from trainer.gate_report import GateReport

HERE = "/pages/policies"
router = APIRouter(prefix=HERE, include_in_schema=False, route_class=PageRoute)

Reader = Annotated[Viewer, Depends(viewer(*ANALYSTS))]
Operator = Annotated[Viewer, Depends(viewer("ops"))]
_MOST = 500  # versions on the page; older ones are in GET /policies
_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Ramp:
    """A canary as the pages show it."""

    row: Any
    steps: list[tuple[float, bool]]  # each share of the ramp, in percent, and whether it was reached
    open: bool

    @staticmethod
    def of(row: Any) -> Ramp:
        shares = CanaryRules.model_validate(row.rules).shares
        reached = row.share if row.experiment else -1
        return Ramp(row, [(share, at <= reached) for at, share in enumerate(shares)], row.state in OPEN)


@router.get("")
async def tree(request: Request, container: ContainerDep, who: Reader) -> Response:
    async with container.database.begin() as connection:
        rows = await store.list_policies(connection, _LAST, _MOST)
        held = await store.aliases(connection)
        gates = await store.latest_gates(connection, [row.version for row in rows])
        ramps = await canaries.latest(connection, [row.version for row in rows])
    context: dict[str, Any] = {
        "family": list(family(rows)),
        "labels": _labels(held),
        "gates": gates,
        "canaries": {version: Ramp.of(row) for version, row in ramps.items()},
        "previous": held.get("previous"),
        "more": len(rows) == _MOST,
    }
    return page(request, "policies.html", who, **context)


def family(rows: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """(depth, row): every version below the one that it was trained from, newest first among siblings.

    A version whose parent is not among the rows stands at the top.
    """
    known = {row.version for row in rows}
    children: dict[str | None, list[Any]] = {}
    for row in rows:
        children.setdefault(row.parent if row.parent in known else None, []).append(row)
    open_ = [(0, row) for row in reversed(children.get(None, []))]
    while open_:
        depth, row = open_.pop()
        yield depth, row
        open_ += [(depth + 1, child) for child in reversed(children.get(row.version, []))]


@router.get("/{version}")
async def one(request: Request, version: str, container: ContainerDep, who: Reader) -> Response:
    async with container.database.begin() as connection:
        policy = await store.find_policy(connection, version)
        if policy is None:
            raise unknown_policy(version, 404)
        reports = await store.gate_reports(connection, version)
        held = await store.aliases(connection)
        ramp_row = (await canaries.latest(connection, [version])).get(version)
        history = await audit_of(connection, f"policy:{version}")
    latest = GateReport.model_validate(reports[0].report) if reports else None
    context: dict[str, Any] = {
        "policy": policy,
        "labels": _labels(held).get(version, []),
        "reports": reports,
        "latest": latest,
        "canary": Ramp.of(ramp_row) if ramp_row else None,
        "history": history,
    }
    return page(request, "policy.html", who, **context)


@router.get("/{version}/gate/{report_id}")
async def gate(request: Request, version: str, report_id: int, container: ContainerDep, who: Reader) -> Response:
    """One decision of the gate."""
    async with container.database.begin() as connection:
        row = await store.find_gate_report(connection, report_id) if abs(report_id) < _LAST else None
    if row is None or row.version != version:
        raise Problem(404, "unknown_report", f"{version} has no gate report {report_id}")
    return page(request, "gate.html", who, row=row, report=GateReport.model_validate(row.report))


@router.post("/{version}/canary")
async def steer(
    version: str,
    container: ContainerDep,
    who: Operator,
    action: Annotated[Literal["resume", "roll_back"], Form()],
    reason: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    """Resume a paused ramp, or roll a canary back."""
    async with container.database.begin() as connection:
        if action == "resume":
            await ramp.resume(connection, version, actor=actor(who.key))
        else:
            await ramp.roll_back(connection, version, actor=actor(who.key), reason=reason.strip() or None)
    await container.state.refresh()
    return RedirectResponse(f"{HERE}/{quote(version, safe='')}", 303)


@router.post("/{version}/promote")
async def promote(
    version: str,
    container: ContainerDep,
    who: Operator,
    alias: Annotated[Movable, Form()],
    typed: Annotated[str, Form()] = "",
    override_reason: Annotated[str, Form()] = "",
) -> Response:
    """Promote what the visitor typed the name of."""
    _require_typed(typed, version)
    body = checked(PromoteBody, action="promote", version=version, override_reason=override_reason.strip() or None)
    await container.promotions.promote(alias, body.version, actor=actor(who.key), override_reason=body.override_reason)
    return RedirectResponse(f"{HERE}/{quote(version, safe='')}", 303)


@router.post("/rollback")
async def roll_back(container: ContainerDep, who: Operator, typed: Annotated[str, Form()] = "") -> Response:
    """Make the previous champion the champion again; its name is typed."""
    async with container.database.begin() as connection:
        previous = (await store.aliases(connection)).get("previous")
    if previous is not None:
        _require_typed(typed, previous)
    await container.promotions.roll_back("champion", actor=actor(who.key))
    return RedirectResponse(HERE, 303)


def _require_typed(typed: str, version: str) -> None:
    if typed.strip() != version:
        raise Problem(
            422,
            "name_not_typed",
            f"the name that was typed is not {version}: go back and type the version's whole name",
            field="typed",
            value=typed,
        )


def _labels(held: dict[str, str]) -> dict[str, list[str]]:
    """Aliases by version."""
    found: dict[str, list[str]] = {}
    for alias, version in sorted(held.items()):
        found.setdefault(version, []).append(alias)
    return found
