"""`/advertisers/{advertiser}/rules`: what one advertiser's texts must and must not say, beside the packs. For ops and
review; a key of one advertiser reaches its own rules only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from adtext.advertiser import AdvertiserRules
from adtext.brief import Line
from app.container import Container, ContainerDep
from app.core.problems import Problem, documented
from app.http.auth import actor, require, require_advertiser
from app.services.compliance import rule_changes
from app.store import rules as store
from app.store.registry import Key

router = APIRouter(prefix="/advertisers", tags=["compliance"])

_LAST = 2**62
Advertiser = Annotated[
    Line,
    Path(min_length=1, max_length=80, description="The name, spelt as in `brief.ad.advertiser`."),
]
Reader = Annotated[Key, Depends(require("report", "review", "ops"))]
Writer = Annotated[Key, Depends(require("review", "ops"))]
Note = Annotated[Line, Field(max_length=400, description="Why, for the audit log.")]


class RulesVersion(BaseModel):
    """One version of an advertiser's own rules."""

    advertiser: str
    version: int = Field(description="Counts up with every change.")
    in_force: bool
    digest: str = Field(description="What a text's `rules_version` carries behind the + ; empty: deleted.")
    rules: AdvertiserRules | None = Field(description="null: this version deleted the rules.")
    note: str
    actor: str
    created_at: datetime

    @classmethod
    def of(cls, row: Any) -> RulesVersion:
        return cls(rules=row.body, **{name: getattr(row, name) for name in cls.model_fields if name != "rules"})


class RulesVersions(BaseModel):
    versions: list[RulesVersion] = Field(description="Newest first.")
    next: int | None = Field(description="Send it as `before` for the next page; null: this is the last.")


class RulesBody(AdvertiserRules):
    """The rules, whole: what is absent is taken away."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    note: Note = ""

    @property
    def wanted(self) -> AdvertiserRules:
        return AdvertiserRules(**{name: getattr(self, name) for name in AdvertiserRules.model_fields})


@router.get("/{advertiser:path}/rules/versions", responses=documented())
async def list_versions(
    advertiser: Advertiser,
    container: ContainerDep,
    key: Reader,
    before: Annotated[int, Query(ge=1, le=_LAST)] = _LAST,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> RulesVersions:
    """Every version there was, newest first."""
    require_advertiser(key, advertiser, "advertiser")
    async with container.database.begin() as connection:
        rows = await store.versions(connection, advertiser, before, limit + 1)
    shown = [RulesVersion.of(row) for row in rows[:limit]]
    return RulesVersions(versions=shown, next=shown[-1].version if len(rows) > limit else None)


@router.get("/{advertiser:path}/rules", responses=documented(404))
async def own_rules(advertiser: Advertiser, container: ContainerDep, key: Reader) -> RulesVersion:
    """The advertiser's own rules in force."""
    require_advertiser(key, advertiser, "advertiser")
    async with container.database.begin() as connection:
        row = await store.version_of(connection, advertiser)
    if row is None or row.body is None:
        raise Problem(
            404, "no_own_rules", "the advertiser has no rules of its own", field="advertiser", value=advertiser
        )
    return RulesVersion.of(row)


@router.put("/{advertiser:path}/rules", responses=documented())
async def put_own_rules(advertiser: Advertiser, body: RulesBody, container: ContainerDep, key: Writer) -> RulesVersion:
    """Put the rules in force. Within a second no replica serves a text of the advertiser that they block; its pool is
    checked again at once, nobody else's is touched. Rules that contradict the advertiser's names, each other, the packs
    or the room of every platform are refused.
    """
    require_advertiser(key, advertiser, "advertiser")
    return await put(container, advertiser, body.wanted, note=body.note, by=actor(key))


@router.delete("/{advertiser:path}/rules", responses=documented(404))
async def delete_own_rules(
    advertiser: Advertiser,
    container: ContainerDep,
    key: Writer,
    note: Annotated[str, Query(max_length=400, description="Why, for the audit log.")] = "",
) -> RulesVersion:
    """Take the rules out of force. Their history stays."""
    require_advertiser(key, advertiser, "advertiser")
    async with container.database.begin() as connection:
        row = await rule_changes.delete_own_rules(connection, advertiser, note=note, actor=actor(key))
    await container.state.refresh()
    return RulesVersion.of(row)


async def put(container: Container, advertiser: str, wanted: AdvertiserRules, *, note: str, by: str) -> RulesVersion:
    """Put rules in force and follow them here; what the route and the page's form share."""
    async with container.database.begin() as connection:
        row = await rule_changes.put_own_rules(
            connection, container.state.rules, advertiser, wanted, note=note, actor=by
        )
    await container.state.refresh()
    return RulesVersion.of(row)
