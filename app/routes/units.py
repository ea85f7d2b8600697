"""`DELETE /units/{id}`: erases a unit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from app.container import ContainerDep
from app.core.contract import UnitId
from app.core.problems import documented
from app.http.auth import actor, require
from app.services.admin.privacy import erase
from app.store.registry import Key

router = APIRouter(tags=["privacy"])


class Erased(BaseModel):
    deleted: dict[str, int] = Field(
        description="Deleted rows, by table. All are zero where nothing was stored of the unit."
    )


@router.delete("/units/{unit_id:path}", responses=documented())
async def erase_unit(
    unit_id: UnitId, container: ContainerDep, admin: Annotated[Key, Depends(require("admin"))]
) -> Erased:
    """Erase a unit: its servings, events, exposures, daily totals and assignments. Repeated requests are harmless.

    `unit_id` is the id that `/generate` received, percent-encoded. Later reports are computed without the unit.
    """
    return Erased(
        deleted=await erase(container.database, container.secrets, container.serving_log, unit_id, actor=actor(admin))
    )
