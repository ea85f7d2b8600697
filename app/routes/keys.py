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

    name: Annotated[Line, Field(min_length=1, max_length=80, description="The person or system that holds the key.")]
    scopes: Annotated[
        list[Scope], Field(min_length=1, max_length=6, description="What the key may do; `admin` may do everything.")
    ]
    advertiser: Annotated[Line, Field(min_length=1, max_length=80)] | None = Field(
        default=None,
        description="The only advertiser whose ads, texts and events the key may access, spelt as in "
        "`brief.ad.advertiser`. Default: all.",
    )
    rate_per_second: float | None = Field(
        default=None,
        strict=True,
        ge=MIN_RATE,
        le=1e6,
        allow_inf_nan=False,
        description="Requests per second. Default: the rate in the settings.",
    )
    expires_at: Instant | None = Field(
        default=None, description="RFC 3339 with offset. Default: the key does not expire."
    )


class KeyAnswer(BaseModel):
    """A key as lists show it, without the key itself."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    prefix: str = Field(description="The readable prefix of the key.")
    scopes: list[str]
    advertiser: str | None
    rate_per_second: float | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKeyAnswer(KeyAnswer):
    key: str = Field(description="The key. It is shown only once: only its digest is stored.")

    @classmethod
    def of(cls, made: keys.NewKey) -> NewKeyAnswer:
        return cls(key=made.key, **KeyAnswer.model_validate(made.record).model_dump())


class KeyPage(BaseModel):
    keys: list[KeyAnswer]
    next: int | None = Field(description="Send it as `after` for the next page; null on the last page.")


class RotateBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    overlap_minutes: int = Field(
        default=60, strict=True, ge=0, le=_MONTH_MINUTES, description="How long the old key stays valid."
    )


class ExpireBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    expires_at: Instant


@router.post("", status_code=201, responses=documented())
async def create(body: KeyBody, container: ContainerDep, admin: Admin) -> NewKeyAnswer:
    """Create a key. The key is shown only in this answer."""
    async with container.database.begin() as connection:
        made = await keys.create(connection, **body.model_dump(), limit=admin.expires_at, actor=actor(admin))
    await container.state.refresh()  # the next request to this replica may use the key
    return NewKeyAnswer.of(made)


@router.get("", responses=documented())
async def list_all(
    container: ContainerDep,
    _: Admin,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> KeyPage:
    """All keys, oldest first, with the revoked ones."""
    async with container.database.begin() as connection:
        found = await keys.listed(connection, after=after, limit=limit + 1)
    shown = found[:limit]
    return KeyPage(
        keys=[KeyAnswer.model_validate(key) for key in shown], next=shown[-1].id if len(found) > limit else None
    )


@router.post("/{key_id}/rotate", status_code=201, responses=documented(404, 409))
async def rotate(key_id: KeyId, body: RotateBody, container: ContainerDep, admin: Admin) -> NewKeyAnswer:
    """Replace a key with a new one of the same name, scopes, advertiser, rate and expiry. The old key stays valid for
    `overlap_minutes`.
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
    """Set the expiry of a key. A key that has expired stays expired."""
    async with container.database.begin() as connection:
        changed = await keys.expire(connection, key_id, at=body.expires_at, limit=admin.expires_at, actor=actor(admin))
    await container.state.refresh()
    return KeyAnswer.model_validate(changed)


@router.post("/{key_id}/revoke", responses=documented(404, 409))
async def revoke(key_id: KeyId, container: ContainerDep, admin: Admin) -> KeyAnswer:
    """Revoke a key and its sessions at once, on every replica. This cannot be undone."""
    async with container.database.begin() as connection:
        changed = await keys.revoke(connection, key_id, actor=actor(admin))
    await container.state.refresh()
    return KeyAnswer.model_validate(changed)
