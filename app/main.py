"""The ASGI application: builds the platform at start, mounts the routes, and takes everything down in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from adtext.rules import load_rules
from app import errors
from app.live import Live
from app.pages import frame, session
from app.platform import Platform
from app.secrets import Secrets
from app.security import Gate
from app.settings import Settings
from app.store.database import Database
from app.tokens import Sealer


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service. `uvicorn --factory app.main:create_app` reads its settings from the environment."""
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        secrets = Secrets.load(chosen.secrets_path)
        database = Database(chosen)
        live = Live(chosen, database, load_rules(chosen.packs_dir))
        await live.start()
        app.state.platform = Platform(chosen, secrets, database, live, Sealer(secrets.tokens), Gate(chosen, secrets, live))
        yield
        await live.stop()
        await database.close()

    app = FastAPI(title="RELATE", version="0.1.0", lifespan=lifespan, summary="Ad copy by a learned policy, served under A/B test.")
    errors.install(app)
    app.include_router(session.router)
    app.mount("/static", frame.static)
    return app
