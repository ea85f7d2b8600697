"""The ASGI application: creates its parts at start, mounts the routes, and stops the parts in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.container import running
from app.core import problems as errors
from app.core.settings import Settings
from app.http.auth import Authenticator
from app.http.middleware import Edge
from app.http.trusted_hosts import trusted_hosts
from app.pages import api_docs, assets, frame, planner, session
from app.pages import comparisons as comparison_pages
from app.pages import experiment_forms as operate
from app.pages import experiments as experiment_pages
from app.pages import jobs as job_pages
from app.pages import policies as policy_pages
from app.pages import report as report_page
from app.pages import review as review_page
from app.pages import rules as rules_page
from app.pages import texts as texts_page
from app.routes import (
    advertisers,
    asset_sets,
    canaries,
    check,
    comparisons,
    events,
    experiments,
    generate,
    health,
    jobs,
    keys,
    pixels,
    policies,
    pool,
    reports,
    review,
    rules,
    texts,
    units,
    withdrawals,
)

ROUTED = (
    generate,
    asset_sets,
    pool,
    events,
    pixels,
    experiments,
    reports,
    check,
    rules,
    advertisers,
    texts,
    review,
    withdrawals,
    canaries,
    policies,
    comparisons,
    jobs,
    keys,
    units,
    health,
    session,
    experiment_pages,
    report_page,
    operate,
    job_pages,
    policy_pages,
    texts_page,
    review_page,
    comparison_pages,
    rules_page,
    planner,
    assets,
    api_docs,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service. `uvicorn --factory app.main:create_app` reads its settings from the environment."""
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(chosen) as container:
            app.state.container = container
            app.state.authenticator = Authenticator(chosen, container.secrets, container.state)
            yield

    app = FastAPI(
        title="RELATE",
        version="0.1.0",
        summary="Ad copy written by a trained policy and served in A/B experiments.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own page loads scripts from a CDN: app.pages.api_docs serves a page that does not
        redoc_url=None,
        redirect_slashes=False,  # such a redirect repeats the Host header, which the caller chooses
    )
    if chosen.trusted_hosts:
        app.add_middleware(trusted_hosts, hosts=chosen.trusted_hosts)
    app.add_middleware(Edge, settings=chosen, recognises=lambda headers: app.state.authenticator.recognises(headers))
    errors.install(app)
    frame.install(app)
    for part in ROUTED:
        app.include_router(part.router)
    app.mount("/static", frame.static)
    return app
