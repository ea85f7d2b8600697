"""Texts of three languages that wait for a reviewer, and one that is served."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
from builders import a_brief, an_ad
from psycopg.types.json import Jsonb

_TEXT = """
    INSERT INTO texts (id, pool_key, policy_id, origin, state, title, description, brief_digest, advertiser, ad_id,
                       industry, locale, platform, spec_version, rules_version, score, findings, held_for, products)
    VALUES (%s, %s, (SELECT id FROM policies WHERE kind = 'vllm'), 'model', %s, %s, %s, %s, %s, %s,
            'apparel', %s, 'generic', '1',
            (SELECT value FROM revisions WHERE topic = 'rules'), 0.9, %s, '["finding"]', '[]')"""


def seed_texts(connection: psycopg.Connection[Any]) -> None:
    for locale in ("en-US", "zh-CN", "ja-JP"):
        _add(connection, locale, "review")
    served = _add(connection, "en-US", "approved", title="Wide Running Shoes")
    connection.execute(
        "INSERT INTO servings (id, at, request_id, unit, text_id, policy_id, source, position, query, locale, "
        "platform, latency_ms) VALUES (gen_random_uuid(), now(), 'r', '\\x01', %s, 1, 1, 0, '', 'en-US', 'generic', 1)",
        (served,),
    )


def _add(connection: psycopg.Connection[Any], locale: str, state: str, **fields: str) -> str:
    brief, text, text_id = a_brief(locale=locale), an_ad(locale=locale, **fields), str(uuid4())
    finding = {"rule": "ungrounded_brand", "field": "title", "span": [0, 4], "quote": text.title[:4]}
    finding |= {"severity": "review", "reason": "a name that the brief does not hold", "source": "The brief"}
    digest = locale.encode()
    connection.execute(
        "INSERT INTO briefs (digest, body) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (digest, Jsonb(brief.model_dump(mode="json"))),
    )
    row = (text_id, digest, state, text.title, text.description, digest, brief.ad.advertiser, brief.ad.id, locale)
    connection.execute(_TEXT, (*row, Jsonb([finding])))
    return text_id
