"""`/policies/{version}/canary`: where a policy's canary stands, resumed and rolled back by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from app.container import ContainerDep
from app.core.problems import Problem, documented
from app.http.auth import actor, require
from app.services.canary import ramp
from app.services.canary.rules import CanaryRules, State
from app.store import canaries as store
from app.store.registry import Key

router = APIRouter(prefix="/policies", tags=["policies"])

Reader = Annotated[Key, Depends(require("report", "ops"))]
Operator = Annotated[Key, Depends(require("ops"))]
Version = Annotated[str, Field(pattern=r"^[\w.-]{1,80}$")]


class CanaryBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: Literal["resume", "roll_back"] = Field(
        description="resume: go on with a paused ramp, in a new phase. roll_back: stop the experiment for good."
    )
    reason: Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f]+$")] | None = Field(
        default=None, description="Of a rollback; it is kept in the audit log."
    )


class CanaryAnswer(BaseModel):
    """A canary: a policy that passed the gate and takes a growing share of a layer."""

    model_config = ConfigDict(from_attributes=True)

    version: str
    champion: str = Field(description="The version that it is compared with.")
    layer: str
    state: State
    percent: float = Field(description="Of the layer that its experiment covers; half of it gets the challenger.")
    since: datetime = Field(description="In this state, on this share.")
    reason: str = Field(description="Of the latest step or look, in one sentence.")
    experiment: str | None = Field(description="Null before the ramp: texts are written ahead.")
    job_id: UUID | None
    created_at: datetime
    looked_at: datetime | None
    ended_at: datetime | None
    rules: CanaryRules


def answer_of(row: Any) -> CanaryAnswer:
    """The answer for a canary's row."""
    rules = CanaryRules.model_validate(row.rules)
    covered = rules.shares[row.share] if row.experiment and row.ended_at is None else 0.0
    return CanaryAnswer.model_validate({**row._mapping, "rules": rules, "percent": covered})


@router.get("/{version}/canary", responses=documented(404))
async def read(version: Version, container: ContainerDep, _: Reader) -> CanaryAnswer:
    """The latest canary of a policy."""
    async with container.database.begin() as connection:
        found = (await store.latest(connection, [version])).get(version)
    if found is None:
        detail = f"{version!r} has had no canary: start one with the job canary"
        raise Problem(404, "no_canary", detail, field="version", value=version)
    return answer_of(found)


@router.post("/{version}/canary", responses=documented(404, 409))
async def change(version: Version, body: CanaryBody, container: ContainerDep, key: Operator) -> CanaryAnswer:
    """Resume a paused ramp, or roll a canary back: the champion serves its units at once on every replica."""
    async with container.database.begin() as connection:
        if body.action == "resume":
            row = await ramp.resume(connection, version, actor=actor(key))
        else:
            row = await ramp.roll_back(connection, version, actor=actor(key), reason=body.reason)
    await container.state.refresh()
    return answer_of(row)
