"""The frame every page shares: who looks at it, the navigation they may use, and how a template becomes an answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fastapi.templating import Jinja2Templates
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from app.security import COOKIE, Gate, Require, Scope, require
from app.store.registry import Key

_HERE = Path(__file__).parent
HOME = "/pages/experiments"
NAVIGATION = (("Experiments", HOME, "report"),)  # label, address, scope

templates = Jinja2Templates(directory=_HERE / "templates")
static = StaticFiles(directory=_HERE / "static")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page, and the token that every form of theirs carries."""

    key: Key
    csrf: str

    def may(self, scope: str) -> bool:
        return not self.key.scopes.isdisjoint({scope, "admin"})


class Viewing:
    """A FastAPI dependency of page routes: the signed-in Viewer; anyone else is sent to sign in first and brought back."""

    def __init__(self, required: Require) -> None:
        self._required = required

    async def __call__(self, request: Request) -> Viewer:
        gate: Gate = request.app.state.platform.gate
        cookie = request.cookies.get(COOKIE, "")
        if gate.holder(cookie) is None:
            asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            raise HTTPException(303, "sign in first", headers={"Location": f"/signin?next={quote(asked, safe='')}"})
        return Viewer(await self._required(request), gate.csrf(cookie))


def viewer(*scopes: Scope) -> Viewing:
    """`who: Annotated[Viewer, Depends(viewer("report"))]`: the same scopes and rates as `require`, for people."""
    return Viewing(require(*scopes))


def page(request: Request, template: str, who: Viewer | None, *, status: int = 200, **context: object) -> Response:
    """Render a template that extends base.html. `who` None: the page shows no navigation."""
    links = [(label, href) for label, href, scope in NAVIGATION if who and who.may(scope)]
    return templates.TemplateResponse(request, template, {"who": who, "links": links, **context}, status_code=status)
