"""Served texts: approved texts by advertiser and query, with their impressions, clicks and conversions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from app.store.database import AsyncConnection
from app.store.statements import statement

_RECENT = "recent JOIN texts ON texts.id = recent.text_id"
_ALL = "texts LEFT JOIN recent ON recent.text_id = texts.id"


async def served_texts(
    connection: AsyncConnection, *, since: datetime, advertiser: str | None, query: str | None, limit: int
) -> Sequence[Any]:
    """Texts served since then, of one advertiser all approved texts; `query`: a part of the brief's."""
    sql = statement("served_texts").format(texts=_ALL if advertiser else _RECENT)
    values = {"since": since, "advertiser": advertiser, "query": query, "limit": limit}
    return (await connection.execute(text(sql), values)).all()
