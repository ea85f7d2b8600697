"""`/withdrawals`: texts, advertisers and policies that are not served until they are restored."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from adtext.brief import Line
from app.container import ContainerDep
from app.core.problems import documented
from app.http.auth import actor, require
from app.services.compliance import withdrawals as service
from app.store.registry import Key
from app.store.withdrawals import Kind, latest

router = APIRouter(prefix="/withdrawals", tags=["texts"])

Withdrawer = Annotated[Key, Depends(require("ops", "review"))]
_LAST = 2**62
Reason = Annotated[Line, Field(min_length=1, max_length=400, description="Why, for the audit log.")]


class WithdrawalBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Kind = Field(description="An advertiser or a policy needs scope ops.")
    subject: Annotated[
        Line,
        Field(
            min_length=1, max_length=128, description="The text's id, the advertiser's name or the policy's version."
        ),
    ]
    reason: Reason


class WithdrawalAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    kind: Kind
    subject: str
    advertiser: str | None = Field(description="Of a text; an advertiser's own name; null for a policy.")
    title: str | None = Field(description="Of a text.")
    reason: str
    actor: str
    created_at: datetime


class WithdrawalPage(BaseModel):
    withdrawals: list[WithdrawalAnswer]
    next: int | None = Field(description="Send it as `before` for the next page; null on the last page.")


@router.post("", status_code=201, responses=documented(404))
async def withdraw(body: WithdrawalBody, container: ContainerDep, key: Withdrawer) -> WithdrawalAnswer:
    """Withdraw a text, an advertiser or a policy: within a second no replica serves it. Safe to repeat."""
    async with container.database.begin() as connection:
        row = await service.withdraw(connection, body.kind, body.subject, body.reason, key=key, actor=actor(key))
    await container.state.refresh()
    return WithdrawalAnswer.model_validate(row)


@router.get("", responses=documented())
async def list_all(
    container: ContainerDep,
    key: Annotated[Key, Depends(require("ops", "review", "report"))],
    before: Annotated[int, Query(ge=1, le=_LAST)] = _LAST,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> WithdrawalPage:
    """All current withdrawals, newest first."""
    async with container.database.begin() as connection:
        rows = await latest(connection, before, limit + 1, advertiser=key.advertiser)
    shown = [WithdrawalAnswer.model_validate(row) for row in rows[:limit]]
    return WithdrawalPage(withdrawals=shown, next=shown[-1].id if len(rows) > limit else None)


@router.delete("/{withdrawal_id}", responses=documented(404))
async def restore(
    withdrawal_id: Annotated[int, Path(ge=1, le=_LAST, description="The withdrawal as GET /withdrawals lists it.")],
    container: ContainerDep,
    key: Withdrawer,
) -> WithdrawalAnswer:
    """Restore a withdrawn text, advertiser or policy: it may be served again within a second."""
    async with container.database.begin() as connection:
        row = await service.restore(connection, withdrawal_id, key=key, actor=actor(key))
    await container.state.refresh()
    return WithdrawalAnswer.model_validate(row)
