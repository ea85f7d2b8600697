"""Training data read from the database: mature impressions with their texts, streamed, and how many are left out for
each reason.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from app.store.database import AsyncConnection, driver
from app.store.statements import statement

BATCH = 20_000

_SHOWN = statement("exported_exposures")
_ROWS = f"""
    SELECT serve_id::text, text_id::text, arm, query, position, window_hours, impression_at,
           CASE WHEN click_at <= %(as_of)s THEN click_at END,
           CASE WHEN conversion_at <= %(as_of)s AND NOT repeated_order THEN conversion_at END, invalid
    FROM ({_SHOWN}) decided WHERE reason IS NULL"""
_LEFT_OUT = f"SELECT reason, count(*) FROM ({_SHOWN}) decided WHERE reason IS NOT NULL GROUP BY reason ORDER BY reason"
_TEXTS = f"""
    SELECT texts.id::text, advertiser, title, description, description_2, industry, locale, texts.created_at, body
    FROM texts JOIN briefs ON briefs.digest = brief_digest
    WHERE texts.id IN (SELECT text_id FROM ({_SHOWN}) decided WHERE reason IS NULL)"""
_ARMS = """
    SELECT experiments.name || '/' || phases.number || '/' || (arm ->> 'name')
    FROM phases JOIN experiments ON experiments.id = experiment_id
    CROSS JOIN LATERAL jsonb_array_elements(arms::jsonb) AS arm
    ORDER BY phases.id, 1"""


async def one_moment(connection: AsyncConnection) -> None:
    """Let every later query of this transaction see the same state."""
    await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


async def arm_names(connection: AsyncConnection) -> list[str]:
    """experiment/phase/arm of every phase."""
    return [str(name) for name in await connection.scalars(text(_ARMS))]


class ExportRange:
    """Impressions of [since, until) that are mature at as_of."""

    def __init__(
        self, since: datetime, until: datetime, as_of: datetime, elsewhere: timedelta, lateness: timedelta
    ) -> None:
        hours = int(elsewhere / timedelta(hours=1))
        self._values = {"since": since, "until": until, "as_of": as_of, "elsewhere": hours, "lateness": lateness}

    def exposures(self, connection: AsyncConnection) -> AsyncIterator[list[tuple[Any, ...]]]:
        """id, text_id, arm, query, position, window_hours, impression_at, click_at, conversion_at, invalid."""
        return self._stream(connection, "exported_exposures", _ROWS)

    def texts(self, connection: AsyncConnection) -> AsyncIterator[list[tuple[Any, ...]]]:
        """id, advertiser, title, description, description_2, industry, locale, created_at, body of the brief."""
        return self._stream(connection, "exported_texts", _TEXTS)

    async def left_out(self, connection: AsyncConnection) -> dict[str, int]:
        async with (await driver(connection)).cursor() as cursor:
            await cursor.execute(_LEFT_OUT.encode(), self._values)
            return {str(reason): int(count) for reason, count in await cursor.fetchall()}

    async def _stream(self, connection: AsyncConnection, name: str, query: str) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Batches through a cursor on the server: neither side holds all rows."""
        async with (await driver(connection)).cursor(name=name) as cursor:
            await cursor.execute(query.encode(), self._values)
            while rows := await cursor.fetchmany(BATCH):
                yield rows
