"""The concurrent calls of one policy: their order, and an estimate of how long a call takes now."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

LIVE, BACKGROUND, PREFILL = 0, 1, 2  # priorities: calls that a request waits for come first

ANSWERS = 3  # slow calls before a request is refused: the first call of a model is always slow
HALF_LIFE_S = 10.0  # seconds in which the estimate halves: a model that was slow may be fast again


@dataclass(slots=True)
class CallSlots:
    """At most `slots` concurrent calls. The next free slot goes to the lowest priority number, then to the first that
    came.
    """

    slots: int  # free ones
    _live: int = 0  # calls of requests that wait for a slot
    _queue: list[tuple[int, int, asyncio.Future[None]]] = field(default_factory=list)
    _order: Callable[[], int] = field(default_factory=lambda: count().__next__)
    _began: dict[int, float] = field(
        default_factory=dict
    )  # start of each running call, oldest first, in monotonic seconds
    _answers: deque[float] = field(
        default_factory=lambda: deque(maxlen=ANSWERS)
    )  # the duration of the last calls in seconds
    _back: float = float("-inf")  # end of the last call in monotonic seconds

    @property
    def pace(self) -> float:
        """The seconds that a call takes now, at least: the duration of the fastest of the last calls, halved every
        HALF_LIFE_S since the last one ended; or the time that the running calls have taken, if it is longer.

        0 while no call is running: the next call measures it.
        """
        oldest = next(iter(self._began.values()), None)
        if oldest is None:
            return 0.0
        now = time.monotonic()
        fastest = min(self._answers) if len(self._answers) == ANSWERS else 0.0
        counts: float = 0.5 ** ((now - self._back) / HALF_LIFE_S)
        return max(fastest * counts, now - max(oldest, self._back))

    @property
    def delay(self) -> float:
        """The estimated seconds until a call that is added now begins; 0 where a slot is free."""
        return 0.0 if self.slots > 0 else self.pace * (self._live + 1) / len(self._began)

    @asynccontextmanager
    async def slot(self, priority: int) -> AsyncIterator[None]:
        """A context manager around one call. A failed call does not change the estimate."""
        if self.slots > 0:
            self.slots -= 1
        else:
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self._queue, (priority, self._order(), turn))
            self._live += priority == LIVE
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._release()
                raise
            finally:
                self._live -= priority == LIVE
        call = self._order()
        self._began[call] = time.monotonic()
        try:
            yield
            self._back = time.monotonic()
            self._answers.append(self._back - self._began[call])
        finally:
            del self._began[call]
            self._release()

    def _release(self) -> None:
        while self._queue:
            _, _, turn = heapq.heappop(self._queue)
            if not turn.done():
                turn.set_result(None)
                return
        self.slots += 1
