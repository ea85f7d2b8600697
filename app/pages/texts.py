"""The texts page: what is served now, by advertiser and query, and the kill switch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from adtext.brief import AdText
from app.container import ContainerDep
from app.core.problems import Problem
from app.http.auth import actor
from app.pages.frame import TEXTS, TEXTS_SCOPES, PageRoute, Viewer, page, viewer
from app.services.compliance import withdrawals as service
from app.store.provenance import provenance
from app.store.served_texts import served_texts
from app.store.texts import text_of
from app.store.withdrawals import Kind, Withdrawn, latest

router = APIRouter(prefix=TEXTS, include_in_schema=False, route_class=PageRoute)

Reader = Annotated[Viewer, Depends(viewer(*TEXTS_SCOPES))]
Withdrawer = Annotated[Viewer, Depends(viewer("review", "ops"))]
Period = Literal["hour", "day", "week"]
PERIODS: dict[Period, timedelta] = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
_MOST = 100
PRIOR = 1000  # impressions at the mean of all that a text's CTCVR is shrunk with
_EVERY = 2**62
_MOST_WITHDRAWN = 500


@dataclass(frozen=True, slots=True)
class ShownText:
    """One line of the page."""

    row: Any
    text: AdText
    policy: str  # "advertiser" for its own text
    withdrawn: bool
    ctcvr: float | None  # shrunk towards the mean of the texts shown


@router.get("")
async def listing(
    request: Request,
    container: ContainerDep,
    who: Reader,
    advertiser: Annotated[str, Query(max_length=200)] = "",
    query: Annotated[str, Query(max_length=200)] = "",
    period: Period = "hour",
) -> Response:
    wanted = who.key.advertiser or advertiser.strip() or None
    since = datetime.now(UTC) - PERIODS[period]
    async with container.database.begin() as connection:
        rows = await served_texts(connection, since=since, advertiser=wanted, query=query.strip() or None, limit=_MOST)
        withdrawals = await latest(connection, _EVERY, _MOST_WITHDRAWN, advertiser=who.key.advertiser)
    shown = _shown(rows, container.state.registry.withdrawn)
    by_query = sorted(shown, key=lambda line: (line.row.advertiser, line.row.query or ""))
    groups = [
        (*key, list(lines)) for key, lines in groupby(by_query, key=lambda line: (line.row.advertiser, line.row.query))
    ]
    groups.sort(key=lambda group: -sum(line.row.servings for line in group[2]))
    return page(
        request,
        "texts.html",
        who,
        groups=groups,
        withdrawals=withdrawals,
        advertiser=wanted or "",
        query=query,
        period=period,
        periods=list(PERIODS),
        most=_MOST if len(rows) == _MOST else None,
        prior=PRIOR,
    )


@router.get("/withdraw")
async def confirm(
    request: Request,
    container: ContainerDep,
    who: Withdrawer,
    kind: Kind,
    subject: Annotated[str, Query(min_length=1, max_length=128)],
) -> Response:
    """What would be withdrawn, before it is."""
    row = None
    if kind == "text":
        async with container.database.begin() as connection:
            row = await provenance(connection, _id(subject))
        if row is None or not who.key.covers(row.advertiser):
            raise Problem(404, "unknown_text", "there is no text with that id")
    text = text_of(row) if row is not None else None
    return page(request, "withdraw.html", who, kind=kind, subject=subject, row=row, text=text)


@router.post("/withdraw")
async def withdraw(
    container: ContainerDep,
    who: Withdrawer,
    kind: Annotated[Kind, Form()],
    subject: Annotated[str, Form(min_length=1, max_length=128)],
    reason: Annotated[str, Form(min_length=1, max_length=400)],
) -> Response:
    reason = " ".join(reason.split())
    if not reason:
        raise Problem(422, "no_reason", "say why: go back and fill in the reason", field="reason", value=reason)
    async with container.database.begin() as connection:
        row = await service.withdraw(connection, kind, subject, reason, key=who.key, actor=actor(who.key))
    await container.state.refresh()
    return RedirectResponse(TEXTS + (f"?advertiser={quote(row.advertiser, safe='')}" if row.advertiser else ""), 303)


@router.post("/restore")
async def restore(
    container: ContainerDep, who: Withdrawer, withdrawal_id: Annotated[int, Form(ge=1, le=_EVERY)]
) -> Response:
    async with container.database.begin() as connection:
        await service.restore(connection, withdrawal_id, key=who.key, actor=actor(who.key))
    await container.state.refresh()
    return RedirectResponse(TEXTS, 303)


def _id(subject: str) -> UUID:
    try:
        return UUID(subject)
    except ValueError:
        raise Problem(404, "unknown_text", "there is no text with that id") from None


def _shown(rows: Any, withdrawn: Withdrawn) -> list[ShownText]:
    impressions, conversions = (sum(getattr(row, name) for row in rows) for name in ("impressions", "conversions"))
    mean = conversions / impressions if impressions else None
    lines = []
    for row in rows:
        text = text_of(row)
        policy = "advertiser" if row.origin == "advertiser" else row.policy
        ctcvr = None if mean is None else (row.conversions + PRIOR * mean) / (row.impressions + PRIOR)
        lines.append(ShownText(row, text, policy, withdrawn.holds(row.advertiser, text, policy), ctcvr))
    return lines
