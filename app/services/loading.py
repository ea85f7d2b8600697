"""Pool heads from PostgreSQL into memory: one read a key, however many ask, and dropped again when the key changes anywhere."""

from __future__ import annotations

import asyncio
import time

from app.live import Live
from app.services.pool import Head, Heads, PooledText
from app.store.database import Database
from app.store.group_commit import GroupCommit
from app.store.texts import pool_texts, text_of


class Loading:
    def __init__(self, database: Database, live: Live, heads: Heads) -> None:
        self._live, self._heads = live, heads
        self._reads: dict[bytes, asyncio.Task[Head]] = {}
        self._together = GroupCommit(database.autocommit, pool_texts)  # reads share a statement as writes do

    async def load(self, key: bytes) -> Head:
        """The key's head, empty where the pool has none. Raises Unavailable. Giving up does not end the read that others share."""
        task = self._reads.get(key)
        if task is None:
            task = self._reads[key] = asyncio.create_task(self._read(key), name="pool-load")
            task.add_done_callback(lambda _: self._reads.pop(key, None))
        return await asyncio.shield(task)

    async def _read(self, key: bytes) -> Head:
        rows = await self._together.submit(key)
        policies = self._live.registry.policies_by_id
        texts = [
            PooledText(row.id.bytes, text_of(row), row.policy_id, policies[row.policy_id].version, row.origin, row.rules_version)
            for row in rows
            if row.policy_id in policies  # registered a moment ago elsewhere: its texts come with the next read
        ]
        head = Head(texts, born=max((row.created_at.timestamp() for row in rows), default=time.time()))
        self._heads.put(key, head)
        return head
