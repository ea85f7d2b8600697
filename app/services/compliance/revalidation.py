"""After a rules change: every pooled text is judged again by the rules in force, and what they block leaves the pool.

Until a text has passed, replicas judge it when it is about to be served (Serving._allowed); this only takes that work
off the hot path.
"""

from __future__ import annotations

from adtext.checks import is_compliant
from app.core.contract import TextState
from app.runtime.periodic import Periodic
from app.runtime.state import ReplicaState
from app.services.compliance.recheck import findings_of, needs_review, released
from app.store.database import Database
from app.store.texts import announce_pool, mark_checked, outdated_texts

BATCH = 200
INTERVAL_S = 5.0


class Revalidation:
    def __init__(self, database: Database, state: ReplicaState) -> None:
        self._database, self._state = database, state
        self._done_for = ""  # the version that every pooled text has passed
        self._periodic = Periodic("the re-check", INTERVAL_S, self.catch_up)

    async def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        await self._periodic.stop()

    async def catch_up(self) -> None:
        """Judge everything that has not passed the rules in force yet."""
        while self._state.confirmed and self._done_for != self._state.rules.version:
            if await self.step() < BATCH:
                self._done_for = self._state.rules.version

    async def step(self) -> int:
        """Judge one batch; returns how many texts it held."""
        rules = self._state.rules
        async with self._database.background() as connection:
            rows = await outdated_texts(connection, rules.version, BATCH)
            for row in rows:
                if row.body is None:  # its brief went with retention: it cannot be judged, so it is not served
                    await mark_checked(connection, row.id, rules.version, state=TextState.RETIRED, findings=())
                    await announce_pool(connection, row.pool_key)
                    continue
                findings = findings_of(row, rules)
                held = needs_review(findings) and not released(row, findings)
                state = (
                    TextState.REJECTED
                    if not is_compliant(findings)
                    else TextState.REVIEW
                    if held
                    else TextState.APPROVED
                )
                await mark_checked(connection, row.id, rules.version, state=state, findings=findings)
                await announce_pool(connection, row.pool_key)
        return len(rows)
