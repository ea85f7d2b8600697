"""The review page: one waiting text at a time, its findings underlined, and the forms that decide about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from adtext.brief import AdText, ProductClass
from app.container import Container, ContainerDep
from app.core.contract import RejectReason
from app.core.problems import Problem, field_problem
from app.pages.frame import REVIEW, REVIEWERS, PageRoute, Viewer, page, viewer
from app.routes.review import Filters, Language, reviewer_of
from app.services.compliance import review_desk as desk
from app.services.compliance.recheck import findings_of
from app.services.compliance.review import Verdict, review, undo
from app.store import reviews

router = APIRouter(prefix=REVIEW, include_in_schema=False, route_class=PageRoute)

Reviewing = Annotated[Viewer, Depends(viewer(*REVIEWERS))]
REASONS = {
    RejectReason.FALSE: "Says something that the brief does not support",
    RejectReason.MANGLED: "Misspelt or broken words",
    RejectReason.CLUMSY: "Ungrammatical, unclear, or says nothing",
    RejectReason.RULE: "Breaks a law or a policy",
    RejectReason.OTHER: "Something else",
}
HELD_FOR = {
    "finding": "a finding asks for a person",
    "regulated": "a regulated product class",
    "judge_unsure": "the judge is unsure",
}
LANGUAGES = {"en": "English", "zh": "Chinese", "ja": "Japanese"}
_NEXT = 10  # texts listed under the one that is open


async def _filters(
    language: Annotated[Language | Literal[""], Query()] = "",
    product: Annotated[ProductClass | Literal[""], Query()] = "",
) -> Filters:
    return Filters(language=language or None, product=product or None)


Filtered = Annotated[Filters, Depends(_filters)]


@router.get("")
async def next_text(
    request: Request, container: ContainerDep, who: Reviewing, filters: Filtered, text: UUID | None = None
) -> Response:
    """Open the next text, or the one that is named."""
    reviewer = reviewer_of(container, who.key)
    async with container.database.begin() as connection:
        if text is not None:
            row = await desk.open_one(connection, text, reviewer)
        else:
            row = await desk.open_next(connection, filters.wanted(), reviewer)
    return await _page(request, container, who, filters, row)


@router.post("/undo")
async def take_back(container: ContainerDep, who: Reviewing, filters: Filtered) -> Response:
    """Take back the latest decision, and open its text again."""
    reviewer = reviewer_of(container, who.key)
    async with container.database.begin() as connection:
        undone = await undo(connection, reviewer)
        waits = await desk.queued(connection, reviews.Wanted(text_id=undone.text_id), reviewer, 1)
    return _back(filters, undone.text_id if waits else None)


@router.post("/{text_id}/approve")
async def approve(text_id: UUID, container: ContainerDep, who: Reviewing, filters: Filtered) -> Response:
    return await _decide(container, who, filters, text_id, Verdict("approve"))


@router.post("/{text_id}/reject")
async def reject(
    text_id: UUID,
    container: ContainerDep,
    who: Reviewing,
    filters: Filtered,
    reason: Annotated[RejectReason, Form()],
    note: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    return await _decide(container, who, filters, text_id, Verdict("reject", " ".join(note.split()), reason))


@router.post("/{text_id}/edit")
async def edit(
    request: Request,
    text_id: UUID,
    container: ContainerDep,
    who: Reviewing,
    filters: Filtered,
    title: Annotated[str, Form(max_length=400)],
    description: Annotated[str, Form(max_length=800)],
    description_2: Annotated[str, Form(max_length=800)] = "",
) -> Response:
    """Put the reviewer's words in place of the text. What a rule blocks comes back with the reason underlined."""
    sent = {"title": title, "description": description, "description_2": description_2 or None}
    try:
        draft = AdText.model_validate({name: value.strip() if value else value for name, value in sent.items()})
    except ValidationError as error:
        first = field_problem(error.errors()[0])
        raise Problem(422, first.rule, f"{first.field}: {first.detail}", field=first.field) from error
    try:
        return await _decide(container, who, filters, text_id, Verdict("edit", text=draft))
    except Problem as problem:
        if problem.rule not in ("blocked", "unchanged", "advertiser_text"):
            raise
        reviewer = reviewer_of(container, who.key)
        async with container.database.begin() as connection:
            row = await desk.open_one(connection, text_id, reviewer)
        return await _page(request, container, who, filters, row, draft=draft, refusal=problem.detail)


async def _decide(container: Container, who: Viewer, filters: Filters, text_id: UUID, verdict: Verdict) -> Response:
    async with container.database.begin() as connection:
        await review(connection, text_id, verdict, reviewer_of(container, who.key))
    return _back(filters)


def _back(filters: Filters, text_id: UUID | None = None) -> Response:
    asked = filters.model_dump(exclude_none=True) | ({"text": text_id} if text_id else {})
    return RedirectResponse(REVIEW + (f"?{urlencode(asked)}" if asked else ""), 303)


async def _page(
    request: Request,
    container: Container,
    who: Viewer,
    filters: Filters,
    row: Any,
    *,
    draft: AdText | None = None,
    refusal: str = "",
) -> Response:
    reviewer = reviewer_of(container, who.key)
    async with container.database.begin() as connection:
        context = {
            "waiting": await desk.queued(connection, filters.wanted(), reviewer, _NEXT + 1),
            "statistics": await desk.statistics(connection, reviewer),
            "last": await reviews.last_decision(connection, who.key.id),
        }
    shown: dict[str, Any] = {}
    if row is not None:
        findings, rules = row.findings, reviewer.rules_of(row.advertiser)
        if row.body is not None and (draft is not None or row.rules_version != rules.version):
            findings = [asdict(finding) for finding in findings_of(row, rules, draft)]
        text = draft or AdText(title=row.title, description=row.description, description_2=row.description_2)
        shown = {"text": text, "findings": findings}
    query = urlencode(filters.model_dump(exclude_none=True))
    return page(
        request,
        "review.html",
        who,
        status=409 if refusal else 200,
        row=row,
        shown=shown,
        refusal=refusal,
        edited=draft is not None,
        filters=filters,
        query=f"?{query}" if query else "",
        languages=LANGUAGES,
        products=get_args(ProductClass),
        reasons=REASONS,
        held_for=HELD_FOR,
        **context,
    )
