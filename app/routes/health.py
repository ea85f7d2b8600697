"""`/healthz`, `/readyz` and `/metrics`, for orchestrators and monitoring."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from app.container import ContainerDep
from app.core.problems import documented
from app.http.auth import require
from app.services.admin.readiness import State
from app.store.registry import Key

router = APIRouter(tags=["operation"])


class Alive(BaseModel):
    status: str = "alive"


class PartAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    name: str
    state: State
    detail: str


class ReadyAnswer(BaseModel):
    ready: bool = Field(description="False, with status 503, where this replica must not get traffic.")
    parts: list[PartAnswer] = Field(
        description="The parts that this replica depends on. With a `degraded` part it still serves."
    )


@router.get("/healthz")
async def healthz() -> Alive:
    """Liveness: the process runs and its event loop responds. Dependencies are not checked, because a restart would not
    repair them.
    """
    return Alive()


@router.get("/readyz", responses={503: {"model": ReadyAnswer, "description": "Not ready; `parts` gives the cause."}})
async def readyz(container: ContainerDep, response: Response) -> ReadyAnswer:
    """Readiness: whether this replica should get traffic, with the state of each part."""
    parts = [PartAnswer.model_validate(part) for part in await container.readiness.parts()]
    ready = all(part.state != "not_ready" for part in parts)
    response.status_code = 200 if ready else 503
    return ReadyAnswer(ready=ready, parts=parts)


_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


@router.get("/metrics", response_class=Response, responses=documented() | _TEXT)
async def metrics(_: Annotated[Key, Depends(require("ops"))]) -> Response:
    """Metrics of this process in the Prometheus text format. The scraper needs a key with scope `ops`."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
