"""`/texts/{id}`: the provenance of a text, and the decision of a reviewer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from adtext.brief import AdText, Line
from app.container import ContainerDep
from app.core.contract import RejectReason, TextState
from app.core.problems import Problem, documented
from app.http.auth import require
from app.routes.review import reviewer_of
from app.services.compliance.review import Decision, Verdict, review, undo
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
    judge: str | None = Field(description="The version of the judge that was asked; null: none was.")
    judgement: dict[str, float] | None = Field(
        description="The judge's probabilities: the text is true to its brief, and it is well written. Null: no judge "
        "was asked, or it failed."
    )
    advertiser: str
    ad_id: str
    industry: str
    locale: str
    platform: str
    spec_version: str
    rules_version: str = Field(description="The version of the rules that last checked the text.")
    created_at: datetime
    held_for: list[str] = Field(description="Why a person looks at it, or did: finding, regulated, judge_unsure.")
    edited_from: UUID | None = Field(description="The text that a reviewer edited.")
    reviewed_by: str | None
    reviewed_at: datetime | None


class ReviewBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    decision: Decision
    reason: RejectReason | None = Field(default=None, description="What is wrong with a rejected text.")
    note: Annotated[Line, Field(max_length=400, description="Why, for the audit log.")] = ""
    text: AdText | None = Field(default=None, description="Of an edit: the text as it shall be.")


class ReviewAnswer(BaseModel):
    id: UUID
    state: TextState
    edited_id: UUID | None = Field(default=None, description="The approved text that an edit wrote.")


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
    """Approve, reject or edit a text. A text that a rule blocks cannot be approved. A rejected text leaves the pool.

    An edit writes an approved text of its own and rejects this one.
    """
    verdict = Verdict(body.decision, body.note, body.reason, body.text)
    async with container.database.begin() as connection:
        decided = await review(connection, text_id, verdict, reviewer_of(container, key))
    return ReviewAnswer(id=text_id, state=decided.state, edited_id=decided.edited_id)


@router.delete("/{text_id}/review", responses=documented(404, 409))
async def undo_review(
    text_id: UUID, container: ContainerDep, key: Annotated[Key, Depends(require("review"))]
) -> ReviewAnswer:
    """Take back this key's latest decision about the text, where nothing changed it since."""
    async with container.database.begin() as connection:
        undone = await undo(connection, reviewer_of(container, key), text_id)
    return ReviewAnswer(id=text_id, state=undone.state_before)
