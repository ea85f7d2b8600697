"""Request bodies with Content-Encoding: gzip, decompressed up to the limit for plain bodies."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

_GZIP = 16 + zlib.MAX_WBITS  # zlib: accept only the gzip format


def inflate(body: bytes, limit: int) -> bytes:
    """The content of a gzip body, of at most `limit` bytes. Decompression stops at the limit.

    Raises HTTPException 413 for a larger content, and 400 for a body that is not one complete gzip stream.
    """
    stream = zlib.decompressobj(_GZIP)
    try:
        content = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise HTTPException(400, "the body is not gzip, although its Content-Encoding is gzip") from error
    if len(content) > limit:
        raise HTTPException(
            413, f"the body inflates to more than the {limit} bytes that are allowed: send less at once"
        )
    if not stream.eof or stream.unused_data:
        raise HTTPException(400, "the body is not one complete gzip stream: it ends early, or more data follows")
    return content


class CompressedRoute(APIRoute):
    """A route whose body may be gzip."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def inflated(request: Request) -> Response:
            return await handle(_Inflated(request.scope, request.receive))

        return inflated


class _Inflated(Request):
    async def body(self) -> bytes:
        if not hasattr(self, "_content"):
            encoding = self.headers.get("content-encoding", "identity").strip().lower()
            if encoding not in ("identity", "gzip", "x-gzip"):
                detail = f"Content-Encoding {encoding!r} is not supported: send gzip, or an uncompressed body"
                raise HTTPException(415, detail, headers={"Accept-Encoding": "gzip"})
            body = await super().body()
            limit = self.app.state.container.settings.max_events_body_bytes
            self._content = body if encoding == "identity" else inflate(body, limit)
        return self._content
