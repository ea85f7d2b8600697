"""Who gets the next upstream call."""

from __future__ import annotations

import asyncio

import pytest

from app.services.serving.generation import BACKGROUND, LIVE, PREFILL, Slots


async def test_a_free_slot_goes_to_whoever_has_a_user_waiting() -> None:
    slots, order = Slots(1), []

    async def call(priority: int, name: str) -> None:
        async with slots.slot(priority):
            order.append(name)
            await asyncio.sleep(0)

    async with slots.slot(LIVE):
        waiting = [
            asyncio.create_task(call(*one))
            for one in ((PREFILL, "prefill"), (BACKGROUND, "refill"), (LIVE, "user 1"), (LIVE, "user 2"))
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert order == ["user 1", "user 2", "refill", "prefill"]


@pytest.mark.parametrize("failure", [ValueError, asyncio.CancelledError])
async def test_a_call_that_fails_gives_its_slot_back(failure: type[BaseException]) -> None:
    slots = Slots(1)
    with pytest.raises(failure):
        async with slots.slot(LIVE):
            raise failure
    assert slots.slots == 1


async def test_a_waiter_that_gives_up_leaves_the_queue() -> None:
    slots = Slots(1)

    async def wait() -> None:
        async with slots.slot(LIVE):
            await asyncio.sleep(0)

    async with slots.slot(LIVE):
        first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    await second
    assert slots.slots == 1


async def test_the_pace_is_that_of_the_last_call_and_of_silence_where_it_is_longer() -> None:
    slots = Slots(2)
    assert slots.pace == 0
    async with slots.slot(LIVE):
        await asyncio.sleep(0.02)
    quick = slots.pace
    assert quick >= 0.02
    async with slots.slot(LIVE):
        await asyncio.sleep(2 * quick)
        assert slots.pace >= 2 * quick
        with pytest.raises(RuntimeError):  # a failed call says nothing of the pace
            async with slots.slot(LIVE):
                raise RuntimeError
    assert slots.pace >= 2 * quick
