"""`/review`: the queue of texts that wait for a person, how the review goes, and its decisions as examples."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from adtext.brief import ProductClass
from app.container import Container, ContainerDep
from app.core.contract import HeldFor
from app.core.problems import documented
from app.http.auth import actor, require
from app.services.compliance import review_desk as desk
from app.services.compliance.review import Reviewer
from app.store.registry import Key
from app.store.reviews import Wanted

router = APIRouter(prefix="/review", tags=["texts"])

Reviewing = Annotated[Key, Depends(require("review"))]
Language = Literal["en", "zh", "ja"]
LINES = "application/x-ndjson"


def reviewer_of(container: Container, key: Key) -> Reviewer:
    """The holder of this key, deciding by the rules in force."""
    return Reviewer(
        key,
        actor(key),
        container.state.rules_of,
        container.settings.second_opinion_share,
    )


class Filters(BaseModel):
    """Which of the waiting texts."""

    model_config = ConfigDict(extra="forbid")

    language: Language | None = None
    product: ProductClass | None = Field(default=None, description="Product class of the brief.")

    def wanted(self) -> Wanted:
        return Wanted(language=self.language, product=self.product)


class WaitingText(BaseModel):
    """A text that waits for a person, with what the decision needs."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    description: str
    description_2: str | None
    locale: str
    platform: str
    origin: str = Field(description="model, template or advertiser.")
    policy: str
    advertiser: str
    products: list[str]
    held_for: list[HeldFor]
    findings: list[dict[str, Any]]
    since: datetime
    second_opinion: bool = Field(description="Another reviewer decided already: this is the second opinion.")
    brief: dict[str, Any] | None = Field(description="Null: past its retention; the text can only be rejected.")

    @classmethod
    def of(cls, row: Any) -> WaitingText:
        return cls.model_validate(
            {**row._mapping, "second_opinion": row.second_of is not None, "brief": row.body}, from_attributes=False
        )


class WaitingPage(BaseModel):
    texts: list[WaitingText]


class NextText(BaseModel):
    text: WaitingText | None = Field(description="Null: nothing waits.")


class HeldRuleAnswer(BaseModel):
    rule: str
    decided: int = Field(description="Decisions about texts that it held for review.")
    overruled: int = Field(description="Of them, texts approved as they were.")


class ReviewerAnswer(BaseModel):
    reviewer: str
    decided: int
    approved: int
    p50_s: float | None = Field(description="Seconds from opening a text to the decision, median.")
    seconds: int = Field(description="Decisions that got a second opinion.")
    overturned: int = Field(description="Of those, where it differs.")


class StatisticsAnswer(BaseModel):
    """Counts of now and today (UTC); the rest covers the last 30 days. Undone decisions count nowhere."""

    waiting: int
    waiting_for: dict[str, int] = Field(description="By reason; a text may wait for two.")
    second_opinions: int = Field(description="Decisions that wait for a second opinion.")
    today: int
    decided: int
    p50_s: float | None = Field(description="Seconds from opening a text to the decision, median.")
    p95_s: float | None
    rules: list[HeldRuleAnswer]
    reviewers: list[ReviewerAnswer]


@router.get("/queue", responses=documented())
async def waiting(
    container: ContainerDep,
    key: Reviewing,
    language: Language | None = None,
    product: ProductClass | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> WaitingPage:
    """The texts that wait for this key, oldest first, without those that another reviewer has open."""
    async with container.database.begin() as connection:
        rows = await desk.queued(
            connection, Wanted(language=language, product=product), reviewer_of(container, key), limit
        )
    return WaitingPage(texts=[WaitingText.of(row) for row in rows])


@router.post("/next", responses=documented())
async def open_next(body: Filters, container: ContainerDep, key: Reviewing) -> NextText:
    """Open the text that has waited longest. For ten minutes no other key gets it; the time to the decision counts from
    here.
    """
    async with container.database.begin() as connection:
        row = await desk.open_next(connection, body.wanted(), reviewer_of(container, key))
    return NextText(text=WaitingText.of(row) if row is not None else None)


@router.get("/statistics", responses=documented())
async def statistics(container: ContainerDep, key: Reviewing) -> StatisticsAnswer:
    """How many texts wait, how fast they are decided, and how often rules and reviewers are overruled."""
    async with container.database.begin() as connection:
        found = await desk.statistics(connection, reviewer_of(container, key))
    return StatisticsAnswer(
        waiting=found.totals.waiting,
        waiting_for={row.kind: row.texts for row in found.waiting},
        second_opinions=found.totals.second_opinions,
        today=found.totals.today,
        decided=found.totals.decided,
        p50_s=found.totals.p50_s,
        p95_s=found.totals.p95_s,
        rules=[HeldRuleAnswer(**rule._asdict()) for rule in found.rules],
        reviewers=[ReviewerAnswer(**reviewer._asdict()) for reviewer in found.reviewers],
    )


@router.get(
    "/decisions",
    response_class=StreamingResponse,
    responses=documented() | {200: {"content": {LINES: {"schema": {"type": "string"}}}}},
)
async def decisions(
    container: ContainerDep,
    key: Annotated[Key, Depends(require("review", "ops"))],
    since: Annotated[AwareDatetime | None, Query(description="RFC 3339 with an offset.")] = None,
) -> StreamingResponse:
    """Every decision that stands, one JSON object per line, with the brief and the text it was made on: examples for a
    judge. Decisions whose brief is past its retention are left out.
    """

    async def lines() -> AsyncIterator[str]:
        async for batch in desk.exported(container.database, since=since, advertiser=key.advertiser):
            yield "".join(json.dumps(example, ensure_ascii=False) + "\n" for example in batch)

    return StreamingResponse(lines(), media_type=LINES)
