"""Errors as RFC 9457 problem documents: each names the field, the value, the rule and how to fix the request."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
_HTTP_RULES = {
    303: "sign_in_first",
    400: "unreadable_body",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}
_JSON = "application/json"
_MOST_PROBLEMS = 20  # fields listed in one problem
_SHOWN = 80  # code points of an invalid value that are sent back


class FieldProblem(BaseModel):
    field: str = Field(description="Dotted path of the field, such as brief.ad.landing_page.")
    value: str = Field(description="The value that was sent, shortened.")
    rule: str = Field(description="The name of the broken rule.")
    detail: str = Field(description="One sentence: what is wrong and how to fix it.")


class ProblemDocument(BaseModel):
    """An RFC 9457 problem document. `errors` lists each invalid field."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    rule: str | None = None
    request_id: str | None = None
    errors: list[FieldProblem] = []


class Problem(Exception):
    """An error with a status, a rule and a sentence. Raised below a route; a handler writes the document."""

    def __init__(
        self,
        status: int,
        rule: str,
        detail: str,
        *,
        field: str | None = None,
        value: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.rule, self.detail, self.headers = status, rule, detail, headers
        self.errors = [FieldProblem(field=field, value=_shown(value), rule=rule, detail=detail)] if field else []


_SHOWN_AND_ONE = _SHOWN + 1
_brief = reprlib.Repr()
_brief.maxlevel, _brief.maxstring, _brief.maxother = 3, _SHOWN, _SHOWN


def _shown(value: object) -> str:
    # a deep or long value is read only as far as it is shown
    text = value[:_SHOWN_AND_ONE] if isinstance(value, str) else _brief.repr(value)
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def problem_response(
    status: int,
    rule: str,
    detail: str,
    *,
    request_id: str | None = None,
    errors: list[FieldProblem] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    document = ProblemDocument(
        title=rule.replace("_", " "),
        status=status,
        detail=detail,
        rule=rule,
        request_id=request_id,
        errors=errors or [],
    )
    return JSONResponse(document.model_dump(), status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def _request_id(request: Request) -> str | None:
    value: str | None = request.scope.get("request_id")
    return value


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(
        error.status,
        error.rule,
        error.detail,
        request_id=_request_id(request),
        errors=error.errors,
        headers=error.headers,
    )


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    sent = request.headers.get("content-type", "")
    if any(item["loc"] == ("body",) and isinstance(item.get("input"), bytes) for item in error.errors()):
        detail = f"the body is read as JSON only, and it came as {sent or 'no type'}: send Content-Type: {_JSON}"
        problem = FieldProblem(field="Content-Type", value=_shown(sent), rule="content_type", detail=detail)
        return problem_response(415, "content_type", detail, request_id=_request_id(request), errors=[problem])
    problems = request_problems(error)
    first = problems[0]
    return problem_response(
        422, "invalid_request", f"{first.field}: {first.detail}", request_id=_request_id(request), errors=problems
    )


def request_problems(error: RequestValidationError) -> list[FieldProblem]:
    """The problems of a request, by field. FastAPI prefixes a field with its location (body, query, path)."""
    problems = []
    for item in error.errors()[:_MOST_PROBLEMS]:
        location = () if item["type"] == "json_invalid" else item["loc"][1:]
        problems.append(field_problem(item | {"loc": location}))
    return problems


def field_problem(item: Mapping[str, Any]) -> FieldProblem:
    """One validation error of a pydantic model."""
    message = str(item["msg"]).removeprefix("Value error, ")
    field = ".".join(_shown(str(part)) for part in item["loc"]) or "body"
    return FieldProblem(field=field, value=_shown(item.get("input")), rule=str(item["type"]), detail=message)


async def on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    rule = _HTTP_RULES.get(error.status_code, "http_error")
    return problem_response(
        error.status_code, rule, str(error.detail), request_id=_request_id(request), headers=error.headers
    )


_DOCUMENTED = {
    400: "The body or a header is malformed.",
    401: "The API key is missing, unknown, expired or revoked.",
    403: "The key lacks the scope, or a change in a session lacks its CSRF token.",
    404: "The named object does not exist.",
    409: "The request conflicts with the current state; `detail` explains it.",
    413: "The body is larger than the limit of this endpoint.",
    415: "The Content-Type is not JSON, or the Content-Encoding is not supported.",
    422: "A field is invalid; `errors` lists field, value and rule.",
    429: "The key exceeds its rate limit. Retry-After gives the seconds to wait.",
    503: "Overloaded, or the database is unreachable. Nothing was changed. Retry-After gives the seconds to wait.",
}
_ANYWHERE = (
    400,
    401,
    403,
    413,
    415,
    422,
    429,
    503,
)  # any route may answer these: from the middleware, the key check or validation


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: the problems any route may answer, and these."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {
        status: {"description": _DOCUMENTED[status], "content": content} for status in sorted({*_ANYWHERE, *statuses})
    }


def install(app: FastAPI) -> None:
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, on_http)
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        document = describe()
        _, problem = models_json_schema(
            [(ProblemDocument, "serialization")], ref_template="#/components/schemas/{model}"
        )
        document.setdefault("components", {}).setdefault("schemas", {}).update(problem["$defs"])
        return document

    app.openapi = openapi  # type: ignore[method-assign]
