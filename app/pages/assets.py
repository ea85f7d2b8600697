"""Scripts and styles from installed Python packages (Plotly, Swagger UI). No CDN is used, and each version has its own
address, so that browsers may cache them without a limit.
"""

from __future__ import annotations

import asyncio
import gzip
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import NamedTuple

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

router = APIRouter(include_in_schema=False)


class _Asset(NamedTuple):
    package: str
    path: str
    media_type: str


_SWAGGER, _PLOTLY = version("fastapi-swagger"), version("plotly")
_ASSETS = {
    f"plotly-{_PLOTLY}.js": _Asset("plotly", "package_data/plotly.min.js", "text/javascript"),
    f"swagger-{_SWAGGER}.js": _Asset("fastapi_swagger", "resources/swagger-ui-bundle.js", "text/javascript"),
    f"swagger-{_SWAGGER}.css": _Asset("fastapi_swagger", "resources/swagger-ui.css", "text/css"),
}
PLOTLY, SWAGGER_JS, SWAGGER_CSS = (f"/assets/{name}" for name in _ASSETS)


@cache
def _plain(asset: _Asset) -> bytes:
    return files(asset.package).joinpath(asset.path).read_bytes()


@cache
def _compressed(asset: _Asset) -> bytes:
    return gzip.compress(_plain(asset), 6)  # reduces Plotly's 4.8 MB to 1.4 MB


@router.get("/assets/{name}")
async def asset(request: Request, name: str) -> Response:
    found = _ASSETS.get(name)
    if found is None:
        raise HTTPException(404, f"there is no asset {name[:80]!r} in this version")
    packed = "gzip" in request.headers.get("accept-encoding", "")
    body = await asyncio.to_thread(_compressed if packed else _plain, found)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    return Response(
        body, media_type=found.media_type, headers=headers | ({"Content-Encoding": "gzip"} if packed else {})
    )
