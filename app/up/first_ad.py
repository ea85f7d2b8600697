"""Requests one ad over HTTP, as an ad system does. `relate up` shows it when it is ready."""

from __future__ import annotations

import json
from time import monotonic
from typing import Any

import httpx
from rich.panel import Panel

from app.up.child import UpError
from app.up.terminal_ad import ad_card

BODY: dict[str, Any] = {
    "platform": "google_rsa",
    "unit_id": "unit-1",
    "deadline_ms": 10_000,
    "brief": {
        "query": "running shoes for wide feet",
        "bidwords": ["wide running shoes"],
        "locale": "en-US",
        "ad": {
            "id": "ad-1",
            "advertiser": "Fernhill Running",
            "business": "running shoes in four widths",
            "industry": "apparel",
            "brands": ["Fernhill"],
            "selling_points": ["Four widths from B to 6E", "Free returns within 45 days"],
            "landing_page": "Fernhill makes running shoes in four widths. Returns are free within 45 days, even if "
            "you have run in them.",
        },
    },
}
REQUEST = json.dumps(BODY)
_PATIENCE_S = 90.0
_WRITTEN = ("pool", "fresh")


def served_ad(url: str, key: str, *, patient: bool) -> Panel:
    """Request an ad. With a model, repeat the request for a while until the model wrote it: the first samples of a weak
    model may all be blocked.
    """
    deadline = monotonic() + (_PATIENCE_S if patient else 0)
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False) as http:
        while True:
            answer = http.post("/generate", json=BODY)
            if not answer.is_success:
                raise UpError(
                    f"POST /generate answered {answer.status_code}: {answer.json().get('detail', answer.text)}"
                )
            body = answer.json()
            if any(text["source"] in _WRITTEN for text in body["texts"]) or monotonic() > deadline:
                return ad_card(body)
