"""One piece of work a key, however many wait; and who asks after a change is never given what began before it."""

from __future__ import annotations

import asyncio

import pytest

from app.runtime.single_flight import SingleFlight


class Folding:
    """Reads a number when it begins and hands it out when it is let go."""

    def __init__(self) -> None:
        self.written, self.runs, self.go = 0, 0, asyncio.Event()

    async def run(self) -> int:
        self.runs += 1
        seen = self.written
        await self.go.wait()
        return seen


async def test_callers_of_a_key_share_its_work_and_one_that_leaves_ends_it_for_nobody() -> None:
    flights, work = SingleFlight[str, int]("work"), Folding()
    leaver, *stayers = [asyncio.ensure_future(asyncio.shield(flights.join("鍵", work.run))) for _ in range(3)]
    await asyncio.sleep(0)
    leaver.cancel()
    work.go.set()
    assert await asyncio.gather(*stayers) == [0, 0]
    assert work.runs == 1 and len(flights) == 0


async def test_sixty_callers_at_once_make_at_most_two_runs_and_all_see_what_was_written_before_they_asked() -> None:
    flights, work = SingleFlight[None, int]("the fold"), Folding()
    early = asyncio.ensure_future(flights.join_next(None, work.run))
    while not work.runs:
        await asyncio.sleep(0)
    work.written = 1  # while the first run is under way
    late = [asyncio.ensure_future(flights.join_next(None, work.run)) for _ in range(60)]
    await asyncio.sleep(0)
    work.go.set()
    assert await early == 0
    assert await asyncio.gather(*late) == [1] * 60
    assert work.runs == 2


async def test_a_failure_reaches_every_waiter_and_an_unexpected_one_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(error: type[Exception]) -> None:
        raise error

    flights = SingleFlight[str, None]("work", expected=(ConnectionError,))
    for error in (ConnectionError, KeyError):
        waiting = [flights.join(error.__name__, lambda error=error: fail(error)) for _ in range(2)]  # type: ignore[misc]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [error, error]
    assert [record.message for record in caplog.records] == ["work failed"]
