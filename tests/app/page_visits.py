"""Pages as a signed-in visitor reads them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import httpx

LIST, PLANNER, NEW = "/pages/experiments", "/pages/planner", "/pages/new-experiment"
Visitors = Callable[..., Awaitable[httpx.AsyncClient]]


def csrf_of(answer: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', answer.text)
    assert found
    return found[1]


async def read(http: httpx.AsyncClient, path: str, status: int = 200) -> str:
    """The page's text without its markup."""
    answer = await http.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "Traceback" not in answer.text
    return " ".join(re.sub(r"<script.*?</script>|<[^>]+>", " ", answer.text, flags=re.S).split())
