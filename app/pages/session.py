"""Sign in and out: a visitor exchanges an API key for a cookie that no script can read and no other site can send."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from app.container import ContainerDep
from app.core.api_keys import digest_of
from app.core.problems import Problem
from app.http.auth import SESSION_S, Authenticator
from app.pages.frame import HOME, Viewer, home_of, page, signed_in
from app.services.admin.sessions import end_session

router = APIRouter(include_in_schema=False)

_MAX_KEY = 200


@router.get("/")
async def start(request: Request) -> Response:
    """The first page that the visitor's key opens."""
    who = signed_in(request)
    return RedirectResponse((who and home_of(who.key)) or HOME, 303)


@router.get("/review")
@router.get("/texts")
async def named(request: Request) -> Response:
    """The page of that name: short addresses for people. The API has no document there."""
    return RedirectResponse("/pages" + request.url.path, 303)


@router.get("/signin")
async def form(request: Request, next: Annotated[str, Query(max_length=2000)] = HOME) -> Response:
    return _form(request, next)


@router.post("/signin")
async def sign_in(
    request: Request,
    key: Annotated[str, Form(max_length=_MAX_KEY)] = "",
    csrf: Annotated[str, Form()] = "",
    next: Annotated[str, Form(max_length=2000)] = HOME,
) -> Response:
    authenticator: Authenticator = request.app.state.authenticator
    if not authenticator.same_origin(authenticator.cookie(request), csrf):
        return _form(request, next, "The form has expired. Send it again.", 403)
    digest = digest_of(key.strip())
    found = authenticator.key(digest)
    if found is None:
        return _form(request, next, "The key is unknown, expired or revoked. Ask an admin for a new one.", 401)
    home = home_of(found)
    if home is None:
        scopes = " and ".join(sorted(found.scopes))
        return _form(request, next, f"Key {found.prefix} has scope {scopes}, which opens no page. Use the API.", 403)
    response = RedirectResponse(home if _local(next) == HOME else _local(next), 303)
    _set_cookie(request, response, authenticator.session(digest))
    return response


@router.post("/signout")
async def sign_out(request: Request, container: ContainerDep, csrf: Annotated[str, Form()] = "") -> Response:
    """End the session on every replica: a copy of its cookie is no longer valid."""
    authenticator: Authenticator = request.app.state.authenticator
    cookie = authenticator.cookie(request)
    if not authenticator.same_origin(cookie, csrf):
        raise Problem(403, "csrf", "the form has expired: go back, reload the page and sign out again")
    if session := authenticator.opened(cookie):
        async with container.database.begin() as connection:
            await end_session(connection, session.id, session.expires_at)
        await container.state.refresh()
    response = RedirectResponse("/signin", 303)
    response.delete_cookie(
        authenticator.cookie_name(request), secure=authenticator.secure(request), httponly=True, samesite="strict"
    )
    return response


def _form(request: Request, next: str, refusal: str = "", status: int = 200) -> Response:
    """The sign-in form, bound to its own cookie. A visitor who is signed in already may continue."""
    authenticator: Authenticator = request.app.state.authenticator
    held = authenticator.cookie(request)
    key = authenticator.holder(held)
    cookie = held if key else authenticator.session(b"")
    who = Viewer(key, authenticator.csrf(cookie)) if key else None
    response = page(
        request, "signin.html", who, status=status, next=_local(next), refusal=refusal, csrf=authenticator.csrf(cookie)
    )
    _set_cookie(request, response, cookie)
    return response


def _set_cookie(request: Request, response: Response, cookie: str) -> None:
    authenticator: Authenticator = request.app.state.authenticator
    response.set_cookie(
        authenticator.cookie_name(request),
        cookie,
        max_age=SESSION_S,
        httponly=True,
        samesite="strict",
        secure=authenticator.secure(request),
    )


def _local(address: str) -> str:
    """The address to continue to, if it is on this site: `//elsewhere` and `/\\elsewhere` are not."""
    ours = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if ours else HOME
