"""Plotly's JavaScript, out of the Python package of the same name: no CDN, one address for each version, so browsers
keep it for good.
"""

from __future__ import annotations

import asyncio
import gzip
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import Response

PLOTLY = f"/assets/plotly-{version('plotly')}.js"

router = APIRouter(include_in_schema=False)


@cache
def _script() -> bytes:
    return files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()


@cache
def _compressed() -> bytes:
    return gzip.compress(_script(), 6)  # 4.8 MB become 1.4 MB


@router.get(PLOTLY)
async def plotly(request: Request) -> Response:
    packed = "gzip" in request.headers.get("accept-encoding", "")
    body = await asyncio.to_thread(_compressed if packed else _script)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    return Response(
        body, media_type="text/javascript", headers=headers | ({"Content-Encoding": "gzip"} if packed else {})
    )
