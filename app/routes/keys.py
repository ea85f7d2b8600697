"""`/keys`: API keys, for admins."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from abtest.events import Instant
from adtext.brief import Line
from app.container import ContainerDep
from app.core.api_keys import Scope
from app.core.problems import documented
from app.core.settings import MIN_RATE
from app.http.auth import actor, require
from app.services.admin import keys
from app.store.registry import Key

router = APIRouter(prefix="/keys", tags=["keys"])

Admin = Annotated[Key, Depends(require("admin"))]
KeyId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The key's number, as GET /keys lists it.")]
_MONTH_MINUTES = 30 * 24 * 60


class KeyBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[Line, Field(min_length=1, max_length=80, description="Who or what holds it.")]
    scopes: Annotated[
        list[Scope], Field(min_length=1, max_length=6, description="What it may do; `admin` may do everything.")
    ]
    advertiser: Annotated[Line, Field(min_length=1, max_length=80)] | None = Field(
        default=None,
        description="The one advertiser whose ads, texts and events it may touch, spelt as in `brief.ad.advertiser`; "
        "absent: all.",
    )
    rate_per_second: float | None = Field(
        default=None,
        strict=True,
        ge=MIN_RATE,
        le=1e6,
        allow_inf_nan=False,
        description="Calls per second; absent: the default.",
    )
    expires_at: Instant | None = Field(default=None, description="RFC 3339 with offset; absent: never.")


class KeyAnswer(BaseModel):
    """A key as lists show it: never the key itself."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    prefix: str = Field(description="The readable start of the key.")
    scopes: list[str]
    advertiser: str | None
    rate_per_second: float | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKeyAnswer(KeyAnswer):
    key: str = Field(description="The key. It is shown this once: only its digest is kept.")

    @classmethod
    def of(cls, made: keys.NewKey) -> NewKeyAnswer:
        return cls(key=made.key, **KeyAnswer.model_validate(made.record).model_dump())


class KeyPage(BaseModel):
    keys: list[KeyAnswer]
    next: int | None = Field(description="Send it as `after` for the next page; null: this is the last.")


class RotateBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    overlap_minutes: int = Field(
        default=60, strict=True, ge=0, le=_MONTH_MINUTES, description="How long the old key still works."
    )


class ExpireBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    expires_at: Instant


@router.post("", status_code=201, responses=documented())
async def create(body: KeyBody, container: ContainerDep, admin: Admin) -> NewKeyAnswer:
    """Make a key. The answer is the only place where it is ever shown."""
    async with container.database.begin() as connection:
        made = await keys.create(connection, **body.model_dump(), limit=admin.expires_at, actor=actor(admin))
    await container.state.refresh()  # so that the next call to this replica may already use it
    return NewKeyAnswer.of(made)


@router.get("", responses=documented())
async def list_all(
    container: ContainerDep,
    _: Admin,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> KeyPage:
    """Every key, oldest first, revoked ones included."""
    async with container.database.begin() as connection:
        found = await keys.listed(connection, after=after, limit=limit + 1)
    shown = found[:limit]
    return KeyPage(
        keys=[KeyAnswer.model_validate(key) for key in shown], next=shown[-1].id if len(found) > limit else None
    )


@router.post("/{key_id}/rotate", status_code=201, responses=documented(404, 409))
async def rotate(key_id: KeyId, body: RotateBody, container: ContainerDep, admin: Admin) -> NewKeyAnswer:
    """Replace a key by a new one with the same name, scopes, advertiser, rate and expiry. The old one works for
    `overlap_minutes` more.
    """
    async with container.database.begin() as connection:
        made = await keys.rotate(
            connection,
            key_id,
            overlap=timedelta(minutes=body.overlap_minutes),
            limit=admin.expires_at,
            actor=actor(admin),
        )
    await container.state.refresh()
    return NewKeyAnswer.of(made)


@router.post("/{key_id}/expire", responses=documented(404, 409))
async def expire(key_id: KeyId, body: ExpireBody, container: ContainerDep, admin: Admin) -> KeyAnswer:
    """Set when a key expires. A key that has expired stays expired."""
    async with container.database.begin() as connection:
        changed = await keys.expire(connection, key_id, at=body.expires_at, limit=admin.expires_at, actor=actor(admin))
    await container.state.refresh()
    return KeyAnswer.model_validate(changed)


@router.post("/{key_id}/revoke", responses=documented(404, 409))
async def revoke(key_id: KeyId, container: ContainerDep, admin: Admin) -> KeyAnswer:
    """End a key and its sessions now, on every replica, for good."""
    async with container.database.begin() as connection:
        changed = await keys.revoke(connection, key_id, actor=actor(admin))
    await container.state.refresh()
    return KeyAnswer.model_validate(changed)
