"""Upstream calls at once for one policy: whose turn it is, and how long a call takes now."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

LIVE, BACKGROUND, PREFILL = 0, 1, 2  # priorities: who is waiting goes first

ANSWERS = 3  # that must have been slow before anyone is refused: the first call of a model is always slow
HALF_LIFE_S = 10.0  # in which the last answers come to count for half: a model that was slow may be fast by now


@dataclass(slots=True)
class Slots:
    """At most `slots` upstream calls at once; the next free slot goes to the lowest priority number, then to who came
    first.
    """

    slots: int  # free ones
    _live: int = 0  # users' calls that wait for a slot
    _queue: list[tuple[int, int, asyncio.Future[None]]] = field(default_factory=list)
    _order: Callable[[], int] = field(default_factory=lambda: count().__next__)
    _began: dict[int, float] = field(default_factory=dict)  # calls under way, oldest first: monotonic seconds
    _answers: deque[float] = field(default_factory=lambda: deque(maxlen=ANSWERS))  # the seconds that each took
    _back: float = float("-inf")  # monotonic seconds when the last came back

    @property
    def pace(self) -> float:
        """Seconds a call takes now, at least: what the fastest of the last answers took, halved every HALF_LIFE_S since
        the last came back; or for how long the calls under way have been silent, where that is longer.

        0 while no call is under way: whoever asks next finds out.
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
        """Seconds until a user's call that joins now begins, at this pace; 0 where a slot is free."""
        return 0.0 if self.slots > 0 else self.pace * (self._live + 1) / len(self._began)

    @asynccontextmanager
    async def slot(self, priority: int) -> AsyncIterator[None]:
        """One upstream call. A call that fails says nothing of the pace."""
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
