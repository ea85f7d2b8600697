"""`/docs`: the OpenAPI document as a page, with Swagger UI from this server's own assets."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.pages.assets import SWAGGER_CSS, SWAGGER_JS
from app.pages.frame import templates

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def api_docs(request: Request) -> Response:
    """The page needs no key, because the document holds no data. Calling an endpoint needs one."""
    return templates.TemplateResponse(request, "api_docs.html", {"script": SWAGGER_JS, "style": SWAGGER_CSS})
