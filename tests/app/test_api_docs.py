"""`/docs`: the API's own description as a page, without a key and without another server."""

from __future__ import annotations

import re

import httpx


async def test_the_api_page_is_open_and_loads_everything_from_this_server(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert loaded and all(address.startswith("/") for address in loaded)
    for address in loaded:
        assert (await client.get(address)).status_code == 200, address


async def test_an_asset_of_another_version_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("/assets/plotly-0.0.0.js")).status_code == 404
