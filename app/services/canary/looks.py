"""A look at every canary that has not ended: read its report, decide, act. One canary is one transaction."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.core.problems import Problem
from app.services.canary import ramp
from app.services.canary.decision import Action, Evidence, Standing, overtaken, step
from app.services.canary.rules import CanaryRules
from app.services.events.aggregation import Aggregation
from app.services.experiments import lifecycle
from app.services.registry.promotion import Promotions
from app.services.reports import reading
from app.store import canaries as store
from app.store import policies, prefill
from app.store.database import AsyncConnection, Database
from app.store.withdrawals import standing as withdrawn

log = logging.getLogger(__name__)
_UTC = ZoneInfo("UTC")


class Looks:
    """Looks at canaries, from the job `canary`."""

    def __init__(self, database: Database, promotions: Promotions, aggregation: Aggregation) -> None:
        self._database, self._promotions, self._aggregation = database, promotions, aggregation

    async def look(self) -> list[str]:
        """What became of each canary, one sentence each."""
        await self._aggregation.catch_up()
        async with self._database.begin() as connection:
            rows = await store.open_(connection)
        return [f"{row.version}: {await self._look_at(row)}" for row in rows]

    async def _look_at(self, row: Any) -> str:
        rules = CanaryRules.model_validate(row.rules)
        try:
            action = await self._decide(row, rules)
            if action.kind == "promote":
                await self._promote(row)
            async with self._database.begin() as connection:
                held = await store.lock_open(connection, row.id)
                if held is None or held.state != row.state or held.share != row.share:
                    return "changed by somebody else meanwhile"
                return await _act(connection, held, rules, action)
        except Problem as problem:  # no room in the layer, a challenger that does not answer: said, and tried again
            async with self._database.begin() as connection:
                await store.change(connection, row.id, reason=problem.detail, looked_at=datetime.now(UTC))
            log.warning("a canary does not go on", extra={"policy": row.version, "reason": problem.detail})
            return problem.detail

    async def _decide(self, row: Any, rules: CanaryRules) -> Action:
        async with self._database.begin() as connection:
            champion = (await policies.aliases(connection))["champion"]
            gone = await withdrawn(connection, "policy", row.version) is not None
            state = (await lifecycle.find(connection, row.experiment)).state if row.experiment else None
        if ended := overtaken(row.version, champion, row.champion, withdrawn=gone, experiment=state):
            return ended
        if row.experiment is None:
            return await self._warming(row, rules)
        async with self._database.begin() as connection:
            question = await reading.ask(connection, row.experiment, as_of=None, phase=None, view="valid", zone=_UTC)
            report = await reading.report(connection, question)
        return step(Standing(row.state, row.share, row.since), Evidence.of(report), rules, datetime.now(UTC))

    async def _warming(self, row: Any, rules: CanaryRules) -> Action:
        async with self._database.begin() as connection:
            found = await prefill.progress(connection, row.prefill_id) if row.prefill_id else None
        left = found.total - found.done - found.failed if found else 0
        if ramp.warm(row, rules, left, datetime.now(UTC)):
            return Action("ramp", "written ahead")
        return Action("hold", f"{left} briefs wait to be written ahead")

    async def _promote(self, row: Any) -> None:
        """Make the challenger the champion, unless a person did. It must answer once more."""
        async with self._database.begin() as connection:
            champion = (await policies.aliases(connection))["champion"]
        if champion != row.version:
            await self._promotions.promote("champion", row.version, actor=ramp.ACTOR)


async def _act(connection: AsyncConnection, row: Any, rules: CanaryRules, action: Action) -> str:
    said = action.reason
    if action.kind == "ramp" and row.experiment is None:
        said = await ramp.begin(connection, row, rules)
    elif action.kind == "ramp":
        await ramp.widen(connection, row, rules, said)
    elif action.kind == "pause":
        await ramp.pause(connection, row, said)
    elif action.kind == "ask":
        await ramp.ask(connection, row, said)
    elif action.kind == "promote":
        await ramp.end(connection, row, "promoted", said)
    elif action.kind == "roll_back":
        await ramp.end(connection, row, "rolled_back", said)
    elif action.kind == "stop":
        await ramp.end(connection, row, "stopped", said)
    else:
        await store.change(connection, row.id, reason=said, looked_at=datetime.now(UTC))
        return said
    log.info("canary", extra={"policy": row.version, "action": action.kind, "reason": said})
    return f"{action.kind.replace('_', ' ')}: {said}"
