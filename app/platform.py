"""The running service's parts, made once at start and handed to routes: settings, secrets, database, live state, services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.live import Live
from app.secrets import Secrets
from app.security import Gate
from app.settings import Settings
from app.store.database import Database
from app.tokens import Sealer


@dataclass
class Platform:
    settings: Settings
    secrets: Secrets
    database: Database
    live: Live
    sealer: Sealer
    gate: Gate


async def current(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


PlatformDep = Annotated[Platform, Depends(current)]
