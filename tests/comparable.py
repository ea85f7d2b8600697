"""Briefs for which two policies have approved texts: what a blind comparison draws from."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
from builders import a_brief
from psycopg.types.json import Jsonb

_TEXT = """
    INSERT INTO texts (id, pool_key, policy_id, origin, state, title, description, brief_digest, advertiser, ad_id,
                       industry, locale, platform, spec_version, rules_version, score, findings)
    VALUES (%s, %s, (SELECT id FROM policies WHERE kind = %s), 'model', %s, %s, %s, %s, %s, %s, 'apparel', %s,
            'generic', '1', '1', 0.9, '[]') RETURNING id"""
_LOCALES = ("en-US", "zh-CN", "ja-JP")
_WRITTEN = {
    "en-US": ("Wide Running Shoes {n}", "Fits from 2E to 4E at shop {n}. Returns are free for 30 days. By {policy}."),
    "zh-CN": ("宽楦跑鞋{n}", "青禾跑步{n}号店，30天免费退换。{policy}"),
    "ja-JP": ("幅広の靴{n}", "みどり{n}号店、30日間返品無料。{policy}"),
}


def add_comparable(connection: psycopg.Connection[Any], number: int, *, state: str = "approved") -> list[str]:
    """Texts of the model and of the templates for `number` briefs of as many advertisers; the model's text ids."""
    ids = []
    for n in range(number):
        locale = _LOCALES[n % 3]
        brief = a_brief(locale=locale, advertiser=f"{a_brief(locale=locale).ad.advertiser} {n}")
        digest = f"comparable-{n}".encode()
        connection.execute(
            "INSERT INTO briefs (digest, body) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (digest, Jsonb(brief.model_dump(mode="json"))),
        )
        for kind, policy in (("vllm", "model"), ("nlg", "template")):
            title, description = (part.format(n=n, policy=policy) for part in _WRITTEN[locale])
            row = (uuid4(), digest + kind.encode(), kind, state, title, description, digest)
            written = connection.execute(_TEXT, (*row, brief.ad.advertiser, brief.ad.id, locale)).fetchone()
            assert written is not None
            ids += [str(written[0])] if kind == "vllm" else []
    return ids
