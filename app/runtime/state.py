"""The state that this replica holds in memory. LISTEN/NOTIFY announces changes, and a poll finds missed ones.

Two topics: `registry` (keys, experiments, policies, aliases, withdrawals) is swapped whole; `rules` names the version
in force, and its number rises with every change of a switch or of an advertiser's own rules. A replica that could not
confirm for two seconds that it checks by the rules in force says so (`confirmed`), and serves the fallback only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

import psycopg
from sqlalchemy import select

from adtext.rules import Rules, load_rules
from app.core.settings import Settings
from app.runtime.own_rules import OwnRules
from app.runtime.periodic import Periodic
from app.runtime.pool_cache import Heads
from app.store import rules as store
from app.store.connections import DatabaseTimeout, Direct, connect, cut_after
from app.store.database import Database
from app.store.models.experiments import Revision
from app.store.registry import CHANNEL, EMPTY, Registry, load_registry

log = logging.getLogger(__name__)

POLL_S = 0.5  # twice a second: one slow answer must not end the confirmation
RECONNECT_S = 1.0
CONFIRM_S = 2.0
LOAD_S = 10.0  # reading the whole registry of a large installation
QUIET_S = 5.0  # seconds without a notification after which the LISTEN connection is tested


class ReplicaState:
    def __init__(self, settings: Settings, database: Database, rules: Rules, heads: Heads) -> None:
        self.registry: Registry = EMPTY
        self.packs = rules  # as they are without switches
        self.rules = rules  # in force for advertisers without rules of their own
        self.rules_number = 0  # the revision that they and the advertisers' own are of
        self.on_rules: list[Callable[[], None]] = []  # called after each change of them
        self._own = OwnRules()
        self._settings, self._database, self._heads = settings, database, heads
        self._confirmed_at = float("-inf")
        self._reading = asyncio.Lock()  # an older answer must not replace a newer one
        self._poll = Periodic("the poll of revisions", POLL_S, self.refresh)
        self._listening: asyncio.Task[None] | None = None

    @property
    def confirmed(self) -> bool:
        """Whether the rules of this replica were the ones in force within the last two seconds."""
        return monotonic() - self._confirmed_at <= CONFIRM_S

    @property
    def loaded(self) -> bool:
        return self.registry.number > 0

    async def start(self) -> None:
        await self.refresh()
        self._poll.start()
        self._listening = asyncio.create_task(self._listen(), name="listen")

    async def stop(self) -> None:
        await self._poll.stop()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    def rules_of(self, advertiser: str) -> Rules:
        """The rules in force with the advertiser's own."""
        return self._own.of(self.rules, advertiser)

    async def refresh(self) -> None:
        """Read the revisions and reload what has changed."""
        async with self._reading:
            async with self._database.revisions() as connection:
                rows = {
                    row.topic: row
                    for row in await connection.execute(select(Revision.topic, Revision.number, Revision.value))
                }
            if "registry" in rows and rows["registry"].number != self.registry.number:
                async with self._database.revisions(LOAD_S) as connection:
                    self.registry = await load_registry(connection)
            if "rules" in rows and await self._follow_rules(rows["rules"].number, rows["rules"].value):
                self._confirmed_at = monotonic()

    async def _follow_rules(self, number: int, in_force: str) -> bool:
        """Take over what changed up to this revision; whether this replica now checks by the version in force.

        A version names packs and switches by their content, so that a half-read change is never taken for it.
        """
        if number == self.rules_number and in_force == self.rules.version:
            return True
        async with self._database.revisions(LOAD_S) as connection:
            switches = await store.switches(connection)
            changed = await store.newer_rules(connection, self.rules_number)
        if self.packs.switched(switches).version != in_force:
            self.packs = await asyncio.to_thread(load_rules, self._settings.packs_dir)
        rules = self.packs.switched(switches)
        if rules.version != self.rules.version:
            log.info("rules changed", extra={"rules_version": rules.version, "in_force": in_force})
            self.rules = rules
        self._own.update(changed)
        if rules.version == in_force:
            self.rules_number = number
        for changed_rules in self.on_rules:
            changed_rules()
        return rules.version == in_force

    def _hear(self, topic: str) -> None:
        """`pool:<key>`: a pooled text was approved, rejected or withdrawn; anything else: a revision moved."""
        kind, _, key = topic.partition(":")
        if kind == "pool":
            self._heads.drop(bytes.fromhex(key))
        else:
            self._poll.wake()

    async def _listen(self) -> None:
        url = (self._settings.listen_url or self._settings.database_url).replace("+psycopg", "", 1)
        while True:
            try:
                async with await connect(url, autocommit=True) as connection:
                    with cut_after(connection, QUIET_S):
                        await connection.execute(f"LISTEN {CHANNEL}")
                    self._heads.clear()  # changes that were announced while the replica did not listen
                    self._poll.wake()
                    await self._hear_all(connection)
            except (psycopg.Error, DatabaseTimeout) as error:
                log.warning(
                    "lost the LISTEN connection; polling continues", extra={"error": str(error).partition("\n")[0]}
                )
            await asyncio.sleep(RECONNECT_S)

    async def _hear_all(self, connection: Direct) -> None:
        """Listen until the connection breaks. It is tested, because a lost peer would otherwise go unnoticed."""
        while True:
            async for notice in connection.notifies(timeout=QUIET_S):
                self._hear(notice.payload)
            with cut_after(connection, QUIET_S):
                await connection.execute("SELECT 1")
