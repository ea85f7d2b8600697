"""Who gets the next upstream call."""

from __future__ import annotations

import asyncio

import pytest

from app.services.serving.slots import BACKGROUND, HALF_LIFE_S, LIVE, PREFILL, CallSlots


async def test_a_free_slot_goes_to_whoever_has_a_user_waiting() -> None:
    slots, order = CallSlots(1), []

    async def call(priority: int, name: str) -> None:
        async with slots.slot(priority):
            order.append(name)
            await asyncio.sleep(0)

    async with slots.slot(LIVE):
        waiting = [
            asyncio.create_task(call(*writer))
            for writer in ((PREFILL, "prefill"), (BACKGROUND, "refill"), (LIVE, "user 1"), (LIVE, "user 2"))
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert order == ["user 1", "user 2", "refill", "prefill"]


@pytest.mark.parametrize("failure", [ValueError, asyncio.CancelledError])
async def test_a_call_that_fails_gives_its_slot_back(failure: type[BaseException]) -> None:
    slots = CallSlots(1)
    with pytest.raises(failure):
        async with slots.slot(LIVE):
            raise failure
    assert slots.slots == 1


async def test_a_waiter_that_gives_up_leaves_the_queue() -> None:
    slots = CallSlots(1)

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


async def answers(slots: CallSlots, *seconds: float, clock: Clock) -> None:
    for took in seconds:
        async with slots.slot(LIVE):
            clock.now += took


class Clock:
    """Monotonic seconds that a test moves."""

    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("app.services.serving.slots.time.monotonic", lambda: made.now)
    return made


async def test_one_slow_answer_refuses_nobody(clock: Clock) -> None:
    slots = CallSlots(2)
    await answers(slots, 30, clock=clock)
    async with slots.slot(LIVE):
        assert slots.pace == 0


async def test_the_pace_is_that_of_the_fastest_of_the_last_answers(clock: Clock) -> None:
    slots = CallSlots(2)
    await answers(slots, 4, 2, 3, clock=clock)
    async with slots.slot(LIVE):
        assert slots.pace == 2


async def test_a_slow_pace_is_forgotten_with_time(clock: Clock) -> None:
    slots = CallSlots(2)
    await answers(slots, 30, 30, 30, clock=clock)
    async with slots.slot(LIVE):
        assert slots.pace == 30
        clock.now += HALF_LIFE_S
        assert slots.pace == 15


async def test_while_no_call_is_under_way_the_next_caller_finds_out(clock: Clock) -> None:
    slots = CallSlots(2)
    await answers(slots, 30, 30, 30, clock=clock)
    assert slots.pace == 0


async def test_silence_counts_where_it_is_longer_and_a_failed_call_says_nothing(clock: Clock) -> None:
    slots = CallSlots(2)
    async with slots.slot(LIVE):
        clock.now += 7
        assert slots.pace == 7
        with pytest.raises(RuntimeError):
            async with slots.slot(LIVE):
                raise RuntimeError
        assert slots.pace == 7


async def test_a_user_that_joins_waits_for_its_share_of_the_slots(clock: Clock) -> None:
    slots = CallSlots(2)
    await answers(slots, 1, 1, 1, clock=clock)
    assert slots.delay == 0

    async def call() -> None:
        async with slots.slot(LIVE):
            await asyncio.sleep(0)

    async with slots.slot(LIVE), slots.slot(BACKGROUND):
        assert slots.delay == pytest.approx(0.5)
        waiting = [asyncio.create_task(call()) for _ in range(5)]
        await asyncio.sleep(0)
        assert slots.delay == pytest.approx(3)
        waiting[0].cancel()
        await asyncio.gather(waiting[0], return_exceptions=True)
        assert slots.delay == pytest.approx(2.5)
    await asyncio.gather(*waiting[1:])
    assert slots.delay == 0
