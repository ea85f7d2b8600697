"""Loads pool heads from PostgreSQL into memory: one read per key, however many requests ask. A head is dropped when its
key changes on any replica.
"""

from __future__ import annotations

import asyncio
import time

from app.runtime.pool_cache import Head, Heads, PooledText
from app.runtime.single_flight import SingleFlight
from app.runtime.state import ReplicaState
from app.store.database import Database, Direct, Unavailable
from app.store.group_commit import GroupCommit
from app.store.texts import pool_texts, text_of


class PoolLoader:
    def __init__(self, database: Database, state: ReplicaState, heads: Heads) -> None:
        self._state, self._heads = state, heads
        self._reading = SingleFlight[bytes, Head]("reading a pool head", expected=Unavailable)
        self._together = GroupCommit(database.direct, self._read)  # concurrent reads share one statement

    async def load(self, key: bytes) -> Head:
        """The head of the key, empty where the pool has no texts. Raises Unavailable. Cancelling the call does not
        cancel the shared read.
        """
        return await asyncio.shield(self._reading.join(key, lambda: self._together.submit(key)))

    async def _read(self, connection: Direct, keys: list[bytes]) -> list[Head]:
        policies = self._state.registry.policies_by_id
        heads = []
        for key, rows in zip(keys, await pool_texts(connection, keys), strict=True):
            texts = [
                PooledText(
                    row.id.bytes,
                    text_of(row),
                    row.policy_id,
                    policies[row.policy_id].version,
                    row.origin,
                    row.rules_version,
                )
                for row in rows
                if row.policy_id in policies  # just registered on another replica: its texts come with the next read
            ]
            heads.append(Head(texts, born=max((row.created_at.timestamp() for row in rows), default=time.time())))
            self._heads.put(key, heads[-1])
        return heads
