"""Seconds of each part of a step."""

from __future__ import annotations

from time import perf_counter


class Stopwatch:
    """Starts when it is made. `lap` adds the time since the last lap to a named part."""

    def __init__(self) -> None:
        self._last = perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = perf_counter()
        self.seconds[name] = round(now - self._last, 4)
        self._last = now
