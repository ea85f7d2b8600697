"""The pages of blind comparisons: the list, one pair at a time for annotators, the result for analysts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Path, Request
from starlette.responses import RedirectResponse, Response

from app.container import ContainerDep
from app.http.auth import actor
from app.pages.forms import checked
from app.pages.frame import ANALYSTS, COMPARE, PageRoute, Viewer, page, viewer
from app.routes.comparisons import MOST, ComparisonBody, result_of
from app.services.compliance import comparisons as service
from app.store import comparisons as store

router = APIRouter(prefix=COMPARE, include_in_schema=False, route_class=PageRoute)

Visitor = Annotated[Viewer, Depends(viewer("review", *ANALYSTS))]
Annotator = Annotated[Viewer, Depends(viewer("review"))]
Analyst = Annotated[Viewer, Depends(viewer(*ANALYSTS))]
Operator = Annotated[Viewer, Depends(viewer("ops"))]
ComparisonId = Annotated[int, Path(ge=1, le=2**62)]


@router.get("")
async def listing(request: Request, container: ContainerDep, who: Visitor) -> Response:
    """Annotators see names and their own progress; analysts see which policies are compared."""
    async with container.database.begin() as connection:
        rows = await store.latest(connection, who.key.id, MOST)
    versions = sorted(container.state.registry.policies)
    return page(
        request, "comparisons.html", who, rows=rows, versions=versions, aliases=container.state.registry.aliases
    )


@router.post("")
async def create(
    container: ContainerDep,
    who: Operator,
    policy: Annotated[str, Form()],
    baseline: Annotated[str, Form()],
    pairs: Annotated[str, Form(max_length=10)] = str(service.PAIRS),
    name: Annotated[str, Form(max_length=80)] = "",
) -> Response:
    body = checked(ComparisonBody, policy=policy, baseline=baseline, pairs=pairs, name=name.strip() or None)
    async with container.database.begin() as connection:
        wanted, withdrawn = service.Wanted(**body.model_dump()), container.state.registry.withdrawn
        await service.create(connection, wanted, withdrawn, actor(who.key))
    return RedirectResponse(COMPARE, 303)


@router.get("/{comparison_id}")
async def annotate(request: Request, comparison_id: ComparisonId, container: ContainerDep, who: Annotator) -> Response:
    """The next pair of this annotator."""
    async with container.database.begin() as connection:
        pair = await service.next_pair(connection, comparison_id, who.key)
        rows = await store.latest(connection, who.key.id, MOST, comparison_id)
    return page(request, "compare.html", who, pair=pair, row=rows[0])


@router.post("/{comparison_id}/undo")
async def take_back(comparison_id: ComparisonId, container: ContainerDep, who: Annotator) -> Response:
    async with container.database.begin() as connection:
        await service.undo(connection, comparison_id, who.key)
    return RedirectResponse(f"{COMPARE}/{comparison_id}", 303)


@router.post("/{comparison_id}/pairs/{pair_id}")
async def judge(
    comparison_id: ComparisonId,
    pair_id: UUID,
    container: ContainerDep,
    who: Annotator,
    choice: Annotated[service.Choice, Form()],
) -> Response:
    async with container.database.begin() as connection:
        await service.judge(connection, comparison_id, pair_id, choice, who.key, actor(who.key))
    return RedirectResponse(f"{COMPARE}/{comparison_id}", 303)


@router.get("/{comparison_id}/results")
async def result(request: Request, comparison_id: ComparisonId, container: ContainerDep, who: Analyst) -> Response:
    row, found = await result_of(container.database, comparison_id)
    return page(request, "comparison.html", who, row=row, found=found)
