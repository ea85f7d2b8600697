"""After a change of the rules, every pooled text is checked again by the rules in force, and blocked texts leave the
pool. What earlier rules alone took from it comes back when the rules in force allow it.

Until a text has passed, replicas check it before it is served (`TextServer`); this takes the work off the hot path.
"""

from __future__ import annotations

from typing import Any

from adtext.checks import Finding, is_compliant
from adtext.rules import Rules
from app.core.contract import TextState
from app.runtime.periodic import Periodic
from app.runtime.state import ReplicaState
from app.services.compliance.recheck import findings_of, needs_review, released
from app.store.database import AsyncConnection, Database
from app.store.texts import announce_pool, mark_checked, outdated_texts

BATCH = 200
INTERVAL_S = 5.0


class Revalidation:
    def __init__(self, database: Database, state: ReplicaState) -> None:
        self._database, self._state = database, state
        self._done_for = ("", 0)  # the version and revision whose rules every pooled text has passed
        self._periodic = Periodic("the re-check", INTERVAL_S, self.catch_up)

    async def start(self) -> None:
        self._state.on_rules.append(self._periodic.wake)
        self._periodic.start()

    async def stop(self) -> None:
        await self._periodic.stop()

    async def catch_up(self) -> None:
        """Check all texts that have not yet passed the rules in force."""
        while self._state.confirmed and self._done_for != self._in_force():
            current = self._in_force()
            if await self.step() < BATCH:
                self._done_for = current

    def _in_force(self) -> tuple[str, int]:
        return self._state.rules.version, self._state.rules_number

    async def step(self) -> int:
        """Check one batch; returns its number of texts."""
        async with self._database.background() as connection:
            rows = await outdated_texts(connection, self._state.rules.version, BATCH)
            for row in rows:
                rules = self._state.rules_of(row.advertiser)
                if rules.version == row.expected:  # else they changed a moment ago: this replica is about to hear of it
                    await self._judge(connection, row, rules)
        return len(rows)

    async def _judge(self, connection: AsyncConnection, row: Any, rules: Rules) -> None:
        findings: list[Finding] = []
        if row.body is None:  # its brief was deleted by retention: it cannot be checked, so it is not served
            state = TextState.RETIRED
        else:
            findings = findings_of(row, rules)
            held = needs_review(findings) and not released(row, findings)
            state = (
                TextState.REJECTED if not is_compliant(findings) else TextState.REVIEW if held else TextState.APPROVED
            )
        await mark_checked(connection, row.id, rules.version, state=state, findings=findings)
        await announce_pool(connection, row.pool_key)
