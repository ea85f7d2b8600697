"""Tracking pixels: a browser reports an impression or a click. The token is the credential; there is no redirect."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from abtest.events import EventKind
from app.container import ContainerDep
from app.core.problems import Problem, documented
from app.core.tokens import TokenError
from app.services.events.bot_filter import invalid_reason

router = APIRouter(tags=["events"])

GIF = (  # one transparent pixel, 43 bytes
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)


@router.head("/pixel/{kind}", include_in_schema=False)
@router.get(
    "/pixel/{kind}",
    response_class=Response,
    responses={
        **documented(),
        200: {"description": "A transparent pixel that is never cached.", "content": {"image/gif": {}}},
    },
)
async def pixel(
    request: Request,
    kind: Literal["impression", "click"],
    token: Annotated[str, Query(max_length=400, description="The token of the served text.")],
    container: ContainerDep,
) -> Response:
    """Record an impression or a click of a served text at the current time. Repeated requests are harmless. Prefetches
    and bots are stored and flagged as invalid.
    """
    try:
        await container.ingest.pixel(EventKind(kind), token, invalid_reason(request.method, request.headers))
    except TokenError as error:
        raise Problem(422, error.reason, str(error), field="token", value=token) from error
    return Response(GIF, media_type="image/gif", headers={"Cache-Control": "no-store, max-age=0"})
