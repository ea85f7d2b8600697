"""`POST /pool/prefill`: writes texts in advance, at low priority, and reports progress."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from adtext.brief import AdBrief
from app.container import ContainerDep
from app.core.contract import Platform
from app.core.problems import Problem, documented
from app.http.auth import actor, require, require_advertiser
from app.store import prefill as store
from app.store.registry import Key

router = APIRouter(prefix="/pool", tags=["serving"])


class PrefillBrief(BaseModel):
    model_config = ConfigDict(extra="forbid")

    brief: AdBrief
    platform: Platform


class PrefillRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    briefs: list[PrefillBrief] = Field(min_length=1, max_length=200)
    policy: str | None = Field(
        default=None,
        max_length=128,
        description="A policy version. Default: the champion and the policy of every arm of a running experiment.",
    )


class PrefillCreated(BaseModel):
    id: UUID
    items: int


class PrefillItemOut(BaseModel):
    number: int = Field(description="Position in the work list.")
    platform: str
    policy: str
    state: str = Field(description="waiting, done or failed.")
    texts: int = Field(description="The number of approved texts in the pool afterwards.")
    reason: str | None


class PrefillProgress(BaseModel):
    id: UUID
    total: int
    done: int
    failed: int
    texts: int
    items: list[PrefillItemOut]
    next: int | None = Field(description="Send it as `after` for the next page; null on the last page.")


PAGE = 200


@router.post("/prefill", status_code=202, responses=documented())
async def prefill(
    body: PrefillRequest, container: ContainerDep, key: Annotated[Key, Depends(require("generate", "ops"))]
) -> PrefillCreated:
    """Queue briefs. Texts are written for a brief once per policy that may serve it."""
    for number, item in enumerate(body.briefs):
        require_advertiser(key, item.brief.ad.advertiser, f"briefs.{number}.brief.ad.advertiser")
    registry = container.state.registry
    if body.policy is not None and body.policy not in registry.policies:
        raise Problem(
            422,
            "unknown_policy",
            f"there is no policy version {body.policy!r}: GET /policies lists them",
            field="policy",
            value=body.policy,
        )
    serving = {registry.aliases["champion"]} | {
        version for layer in registry.running.values() for experiment in layer for version in experiment.policies
    }
    versions = [body.policy] if body.policy else sorted(serving)
    items = [store.NewItem(item.platform, version, item.brief) for item in body.briefs for version in versions]
    prefill_id = uuid4()
    async with container.database.begin() as connection:
        await store.create(connection, prefill_id, actor(key), items)
    container.prefilling.wake()
    return PrefillCreated(id=prefill_id, items=len(items))


@router.get("/prefill/{prefill_id}", responses=documented(404))
async def prefill_progress(
    prefill_id: UUID,
    container: ContainerDep,
    key: Annotated[Key, Depends(require("generate", "ops"))],
    after: Annotated[int, Query(ge=-1, le=2**31)] = -1,
) -> PrefillProgress:
    """The progress of a prefill, and the outcome of each brief."""
    async with container.database.begin() as connection:
        totals = await store.progress(connection, prefill_id)
        if totals is None or not all(map(key.covers, await store.advertisers(connection, prefill_id))):
            raise Problem(
                404, "unknown_prefill", f"there is no prefill {prefill_id}", field="prefill_id", value=str(prefill_id)
            )
        rows = await store.items(connection, prefill_id, after, PAGE)
    items = [
        PrefillItemOut(
            number=row.number,
            platform=row.platform,
            policy=row.policy_version,
            state=row.state,
            texts=row.texts,
            reason=row.reason,
        )
        for row in rows
    ]
    return PrefillProgress(
        id=prefill_id,
        total=totals.total,
        done=totals.done,
        failed=totals.failed,
        texts=totals.texts,
        items=items,
        next=rows[-1].number if len(rows) == PAGE else None,
    )
