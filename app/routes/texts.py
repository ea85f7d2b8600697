"""`/texts/{id}`: the provenance of a text, and the decision of a reviewer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from adtext.brief import Line
from app.container import ContainerDep
from app.core.contract import TextState
from app.core.problems import Problem, documented
from app.http.auth import actor, require
from app.services.compliance.review import Decision, review
from app.store.provenance import provenance
from app.store.registry import Key
from app.store.texts import text_of

router = APIRouter(prefix="/texts", tags=["texts"])


class Provenance(BaseModel):
    """The provenance of a text."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    description: str
    description_2: str | None
    origin: str = Field(description="model, template or advertiser.")
    machine_generated: bool
    state: TextState
    withdrawn: bool = Field(description="The text, its advertiser or its policy is withdrawn: no replica serves it.")
    policy: str = Field(description="The policy version that wrote it, or 'advertiser'.")
    prompt_hash: str | None = Field(description="Hash of the prompt that the model received.")
    seed: int | None
    score: float
    findings: list[dict[str, Any]]
    advertiser: str
    ad_id: str
    industry: str
    locale: str
    platform: str
    spec_version: str
    rules_version: str = Field(description="The version of the rules that last checked the text.")
    created_at: datetime
    reviewed_by: str | None
    reviewed_at: datetime | None


class ReviewBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    decision: Decision
    note: Annotated[Line, Field(max_length=400, description="Why, for the audit log.")] = ""


class ReviewAnswer(BaseModel):
    id: UUID
    state: TextState


@router.get("/{text_id}/provenance", responses=documented(404))
async def text_provenance(
    text_id: UUID, container: ContainerDep, key: Annotated[Key, Depends(require("report", "generate", "review"))]
) -> Provenance:
    """Policy version, prompt hash, seed, rules and spec version, findings, score, and whether a machine wrote it."""
    async with container.database.begin() as connection:
        row = await provenance(connection, text_id)
    if row is None or not key.covers(row.advertiser):
        raise Problem(404, "unknown_text", "no text has this id", field="text_id", value=text_id)
    by_advertiser = row.origin == "advertiser"  # stored under the version that was in use, which did not write it
    policy = "advertiser" if by_advertiser else row.policy
    shown = {
        **row._mapping,
        "policy": policy,
        "machine_generated": not by_advertiser,
        "withdrawn": container.state.registry.withdrawn.holds(row.advertiser, text_of(row), policy),
    }
    return Provenance.model_validate(shown)


@router.post("/{text_id}/review", responses=documented(404, 409))
async def review_text(
    text_id: UUID, body: ReviewBody, container: ContainerDep, key: Annotated[Key, Depends(require("review"))]
) -> ReviewAnswer:
    """Approve or reject a text. A text that a rule blocks cannot be approved. A rejected text leaves the pool."""
    async with container.database.begin() as connection:
        state = await review(
            connection,
            text_id,
            body.decision,
            body.note,
            container.state.rules,
            advertiser=key.advertiser,
            actor=actor(key),
        )
    return ReviewAnswer(id=text_id, state=state)
