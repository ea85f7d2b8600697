"""Units that a report lists or counts: units with a large share of the impressions, and units whose arm changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from app.store.database import AsyncConnection
from app.store.sums import View

_HEAVY = """
    SELECT arm, unit, impressions
    FROM (
        SELECT arm, unit, count(*) AS impressions FROM exposures
        WHERE phase_id = :phase AND impression_at < :cutoff AND NOT shifted AND {counted}
              AND unit NOT IN (SELECT unit FROM unit_days WHERE phase_id = :phase AND two_arms)
        GROUP BY arm, unit
    ) units
    JOIN unnest(CAST(:arms AS integer[]), CAST(:limits AS float8[])) AS suspects (arm, least) USING (arm)
    WHERE impressions > least ORDER BY arm, impressions DESC, unit"""
_HEAVY_OF: Mapping[View, str] = {
    "valid": _HEAVY.format(counted="NOT invalid"),
    "all": _HEAVY.format(counted="true"),
}
_CHANGED = text("""
    SELECT latest.arm, count(DISTINCT latest.unit) AS units
    FROM assigned_units latest
    JOIN assigned_units before ON before.unit = latest.unit AND before.arm <> latest.arm
    WHERE latest.phase_id = :phase AND before.phase_id = ANY(:earlier) AND latest.first_at <= :as_of
    GROUP BY latest.arm""")


@dataclass(frozen=True, slots=True)
class HeavyUnit:
    """A unit that alone has over 5 % of its arm's impressions."""

    digest: bytes
    impressions: int


async def heavy_units(
    connection: AsyncConnection, phase_id: int, view: View, cutoff: datetime, limits: Mapping[int, float]
) -> dict[int, list[HeavyUnit]]:
    """The units of each arm with more mature impressions than the arm's limit, largest first. Scans the exposures of
    the phase.
    """
    values = {"phase": phase_id, "cutoff": cutoff, "arms": list(limits), "limits": list(limits.values())}
    found: dict[int, list[HeavyUnit]] = {}
    for row in await connection.execute(text(_HEAVY_OF[view]), values):
        found.setdefault(row.arm, []).append(HeavyUnit(bytes(row.unit), row.impressions))
    return found


async def changed_arm(
    connection: AsyncConnection, phase_id: int, earlier: Sequence[int], as_of: datetime
) -> dict[int, int]:
    """Units of the phase that an earlier phase assigned to another arm, by their arm now."""
    rows = await connection.execute(_CHANGED, {"phase": phase_id, "earlier": list(earlier), "as_of": as_of})
    return {row.arm: row.units for row in rows}
