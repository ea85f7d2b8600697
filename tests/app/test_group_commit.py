"""Writers that arrive together share a transaction, and each hears of its own commit only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
import pytest

from app.store.database import AsyncConnection, DatabaseBusy, DatabaseTimeout
from app.store.group_commit import GroupCommit


class Ledger:
    """Stands in for a database: notes what each transaction committed, and can be taken down."""

    def __init__(self) -> None:
        self.committed: list[list[int]] = []
        self.down = False
        self.pending: list[int] = []

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Ledger]:
        if self.down:
            raise psycopg.OperationalError("connection refused")
        self.pending = []
        await asyncio.sleep(0)
        yield self
        self.committed.append(self.pending)


async def double(connection: AsyncConnection, items: list[int]) -> list[int]:
    ledger = cast(Ledger, connection)
    if 13 in items:
        raise ValueError("thirteen cannot be written")
    ledger.pending.extend(items)
    return [2 * item for item in items]


def committing(ledger: Ledger) -> GroupCommit[int, int]:
    return GroupCommit(ledger.begin, double, most=50)


async def test_concurrent_items_share_transactions_and_keep_their_results() -> None:
    ledger = Ledger()
    commits = committing(ledger)
    results = await asyncio.gather(*(commits.submit(number) for number in range(12)))
    assert results == [2 * number for number in range(12)]
    assert len(ledger.committed) <= 2
    assert sorted(number for group in ledger.committed for number in group) == list(range(12))


async def test_a_bad_item_fails_alone() -> None:
    ledger = Ledger()
    commits = committing(ledger)
    results: list[Any] = await asyncio.gather(
        *(commits.submit(number) for number in (12, 13, 14)), return_exceptions=True
    )
    assert (results[0], results[2]) == (24, 28)
    assert isinstance(results[1], ValueError)


async def test_with_the_database_down_everyone_hears_and_nothing_is_committed() -> None:
    ledger = Ledger()
    ledger.down = True
    commits = committing(ledger)
    results = await asyncio.gather(*(commits.submit(number) for number in range(3)), return_exceptions=True)
    assert all(isinstance(result, psycopg.OperationalError) for result in results)
    ledger.down = False
    assert await commits.submit(4) == 8
    assert ledger.committed == [[4]]


async def test_a_caller_that_gives_up_loses_nothing_of_the_others() -> None:
    commits = committing(Ledger())
    leaver, stayer = commits.submit(1), commits.submit(2)
    await asyncio.sleep(0)
    leaver.cancel()
    assert await stayer == 4
    with pytest.raises(asyncio.CancelledError):
        await leaver


async def test_a_database_that_hangs_is_waited_for_once_by_all_who_wait() -> None:
    ledger, asked = Ledger(), 0

    @asynccontextmanager
    async def hang() -> AsyncIterator[Ledger]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        raise DatabaseTimeout
        yield ledger

    commits = GroupCommit(hang, double, most=2)
    results = await asyncio.gather(*(commits.submit(number) for number in range(20)), return_exceptions=True)
    assert all(isinstance(result, DatabaseTimeout) for result in results)
    assert asked == 1


async def test_more_writers_than_may_wait_are_refused_at_once() -> None:
    commits = GroupCommit(Ledger().begin, double, waiting=3)
    waiting = [commits.submit(number) for number in range(3)]
    with pytest.raises(DatabaseBusy):
        commits.submit(3)
    assert await asyncio.gather(*waiting) == [0, 2, 4]


async def test_what_a_caller_gave_up_before_its_turn_is_not_written() -> None:
    ledger = Ledger()
    commits = committing(ledger)
    leaver, stayer = commits.submit(1), commits.submit(2)
    leaver.cancel()
    assert await stayer == 4
    assert ledger.committed == [[2]]
