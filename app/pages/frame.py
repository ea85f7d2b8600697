"""The frame shared by all pages: the signed-in viewer, the navigation, the rendering of templates, and error pages."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.templating import Jinja2Templates
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from app.core.api_keys import Scope
from app.core.problems import FieldProblem, Problem, on_http, request_problems
from app.core.settings import Settings
from app.http.auth import Authenticator, Require, require
from app.pages import formats, shapes, underline
from app.store.database import Unavailable
from app.store.registry import Key

_HERE = Path(__file__).parent
HOME = "/pages/experiments"
REVIEW, TEXTS = "/pages/review", "/pages/texts"
ANALYSTS: tuple[Scope, ...] = ("report", "ops")
REVIEWERS: tuple[Scope, ...] = ("review",)
TEXTS_SCOPES: tuple[Scope, ...] = ("report", "review", "ops")
COMPARE = "/pages/comparisons"
RULES_PAGE = "/pages/rules"
RULES_SCOPES: tuple[Scope, ...] = TEXTS_SCOPES
# label, address, scopes: any of them
NAVIGATION: tuple[tuple[str, str, tuple[Scope, ...]], ...] = (
    ("Experiments", HOME, ANALYSTS),
    ("Texts", TEXTS, TEXTS_SCOPES),
    ("Policies", "/pages/policies", ANALYSTS),
    ("Jobs", "/pages/jobs", ("ops",)),
    ("Rules", RULES_PAGE, RULES_SCOPES),
    ("Review", REVIEW, REVIEWERS),
    ("Compare", COMPARE, ("review", *ANALYSTS)),
    ("Planner", "/pages/planner", ANALYSTS),
)

_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE / "templates"),
    autoescape=True,  # names, notes and sentences may hold what a caller sent
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= formats.FILTERS
_environment.globals |= {"axis_around": shapes.Axis.around, "spark": shapes.spark, "pieces": underline.pieces}

templates = Jinja2Templates(env=_environment)
static = StaticFiles(directory=_HERE / "static")


@dataclass(frozen=True, slots=True)
class Viewer:
    """The viewer of a page, and the CSRF token of the forms on it."""

    key: Key
    csrf: str

    def may(self, *scopes: str) -> bool:
        return not self.key.scopes.isdisjoint({*scopes, "admin"})


def home_of(key: Key) -> str | None:
    """The page that a key lands on; None where it opens no page."""
    scopes = {HOME: ANALYSTS, REVIEW: REVIEWERS}
    return next((href for href, needed in scopes.items() if not key.scopes.isdisjoint({*needed, "admin"})), None)


def signed_in(request: Request) -> Viewer | None:
    authenticator: Authenticator = request.app.state.authenticator
    cookie = authenticator.cookie(request)
    key = authenticator.holder(cookie)
    return Viewer(key, authenticator.csrf(cookie)) if key else None


class Viewing:
    """A FastAPI dependency of page routes: the signed-in Viewer; anyone else is sent to the sign-in page and returns
    afterwards.
    """

    def __init__(self, required: Require) -> None:
        self._required = required

    async def __call__(self, request: Request) -> Viewer:
        who = signed_in(request)
        if who is None:
            asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            if request.method != "GET":  # the address of a form accepts only POST
                asked = HOME
            raise HTTPException(303, "sign in first", headers={"Location": f"/signin?next={quote(asked, safe='')}"})
        await self._required.by_cookie(request)
        return who


def viewer(*scopes: Scope) -> Viewing:
    """`who: Annotated[Viewer, Depends(viewer("report"))]`: the same scopes and rates as `require`, for people."""
    return Viewing(require(*scopes))


def base_url(request: Request, settings: Settings) -> str:
    """The public address of this service. It never comes from the Host header: a caller must not choose the address
    that a key is sent to.
    """
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host, port = request.scope.get("server") or (settings.host, settings.port)
    name = f"[{host}]" if ":" in host else host
    return f"{request.url.scheme}://{name}" + (f":{port}" if port else "")


def page(request: Request, template: str, who: Viewer | None, *, status: int = 200, **context: object) -> Response:
    """Render a template that extends base.html. `who` None: the page shows no navigation."""
    links = [(label, href) for label, href, scopes in NAVIGATION if who and who.may(*scopes)]
    return templates.TemplateResponse(request, template, {"who": who, "links": links, **context}, status_code=status)


class PageRoute(APIRoute):
    """`APIRouter(route_class=PageRoute)`: an error that the API answers with a problem document is answered with a
    page.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_with_a_page(request: Request) -> Response:
            try:
                if any("\0" in str(value) for value in request.path_params.values()):
                    raise Problem(404, "not_found", "there is nothing at this address")
                return await answer(request)
            except Problem as problem:
                return _refusal(request, problem.status, problem.detail, problem.headers)
            except RequestValidationError as error:
                fields = request_problems(error)
                return _refusal(request, 422, "The address of the page holds an invalid value.", fields=fields)
            except Unavailable:
                return _refusal(
                    request,
                    503,
                    "The database is unreachable. Nothing was changed: try again in a moment.",
                    {"Retry-After": "1"},
                )

        return answer_with_a_page


_TITLES = {
    403: "Forbidden",
    404: "Not found",
    409: "Conflict",
    422: "Invalid value",
    429: "Too many requests",
    503: "Unavailable",
}


def _refusal(
    request: Request, status: int, detail: str, headers: Any = None, fields: list[FieldProblem] | None = None
) -> Response:
    title = _TITLES.get(status, "Error")
    response = page(
        request, "refusal.html", signed_in(request), status=status, title=title, detail=detail, fields=fields or []
    )
    response.headers.update(headers or {})
    return response


def install(app: FastAPI) -> None:
    """Answer a browser that asks for an unknown address with a page, and every other caller with a problem document."""

    async def answer(request: Request, error: Exception) -> Response:
        if getattr(error, "status_code", 0) == 404 and "text/html" in request.headers.get("accept", ""):
            return _refusal(request, 404, "There is nothing at this address.")
        return await on_http(request, error)

    app.add_exception_handler(HTTPException, answer)
