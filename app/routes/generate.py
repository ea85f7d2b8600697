"""`POST /generate`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from app.container import ContainerDep
from app.core.contract import GenerateRequest, GenerateResponse
from app.core.problems import Problem, documented
from app.http.auth import require, require_advertiser
from app.services.serving.generate import CallerGone
from app.store.registry import Key

router = APIRouter(tags=["serving"])


@router.post("/generate", responses=documented(404))
async def generate(
    request: Request, body: GenerateRequest, container: ContainerDep, key: Annotated[Key, Depends(require("generate"))]
) -> GenerateResponse:
    """Write ad texts for one brief and one unit.

    Every returned text has passed the compliance checks. `texts` may be empty; `reason` then gives the cause. Show a
    text, and report its impression, click and conversion with its token to `POST /events`.
    """

    require_advertiser(key, body.brief.ad.advertiser, "brief.ad.advertiser")

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            continue

    try:
        return await container.serving.serve(
            body, request_id=request.scope["request_id"], arrived=request.scope["arrived"], gone=gone
        )
    except CallerGone:
        raise Problem(499, "caller_gone", "the caller disconnected before a text was written") from None
