"""Reported events that do not count, per arm: orphans, view-through, shifted clocks, repeated orders, reused ids."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text

from app.store.database import AsyncConnection

_QUALITY = text("""
    SELECT arm, sum(tokens) AS tokens, sum(impressions) AS impressions, sum(conversions) AS conversions,
           sum(orphans) AS orphans, sum(view_through) AS view_through, sum(repeated_orders) AS repeated_orders,
           sum(shifted) AS shifted, sum(events) AS events, sum(reused_ids) AS reused_ids,
           sum(unmatched_corrections) AS unmatched_corrections
    FROM token_days WHERE phase_id = :phase AND day <= :day GROUP BY arm ORDER BY arm""")


@dataclass(frozen=True, slots=True)
class EventQuality:
    """Tokens of one arm with events, and the events that do not count. Shares without tokens are 0."""

    tokens: int = 0
    impressions: int = 0  # tokens with an impression
    conversions: int = 0  # tokens with a conversion, counted or not
    orphans: int = 0  # tokens with a click or conversion and no impression
    view_through: int = 0  # conversions in the window without a click before them
    repeated_orders: int = 0  # conversions whose order another token's earlier conversion has
    shifted: int = 0  # impressions a whole number of hours after their serving
    events: int = 0
    reused_ids: int = 0  # events whose event_id another event had already
    unmatched_corrections: int = 0  # retractions and restatements of events that never came

    @property
    def orphan_share(self) -> float:
        """Share of the tokens with an event."""
        return _share(self.orphans, self.tokens)

    @property
    def view_through_share(self) -> float:
        """Share of the tokens with a conversion."""
        return _share(self.view_through, self.conversions)

    @property
    def shifted_share(self) -> float:
        """Share of the tokens with an impression."""
        return _share(self.shifted, self.impressions)

    @property
    def reused_id_share(self) -> float:
        """Share of the events. One id for impression, click and conversion of a serving is valid, and counted here."""
        return _share(self.reused_ids, self.events)


async def event_quality(connection: AsyncConnection, phase_id: int, as_of: datetime) -> dict[int, EventQuality]:
    """By arm, over the UTC days until as_of's own."""
    values = {"phase": phase_id, "day": as_of.astimezone(UTC).date()}
    rows = await connection.execute(_QUALITY, values)
    return {row.arm: EventQuality(*(int(number) for number in row[1:])) for row in rows}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
