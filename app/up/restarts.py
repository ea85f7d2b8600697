"""Restarts a child process that has ended: soon, then after increasing delays while it keeps ending."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from app.up.child import Child

FIRST_S, LONGEST_S = 1.0, 60.0
STEADY_S = 300.0  # seconds of running after which the delay starts from the first again


@dataclass
class Restarts:
    """The restarts of one child."""

    meanwhile: str  # what happens to its work until it runs again
    _break_s: float = FIRST_S
    _due: float | None = None  # monotonic seconds of the next start; None while it runs
    _started: float = float("-inf")

    def look(self, child: Child) -> str | None:
        """Start the child when its delay is over. Returns a line for the operator when something changed."""
        now = monotonic()
        if child.alive:
            return None
        if self._due is None:
            if now - self._started > STEADY_S:
                self._break_s = FIRST_S
            self._due, wait = now + self._break_s, self._break_s
            self._break_s = min(2 * self._break_s, LONGEST_S)
            return f"{child.ending()}; it starts again in {wait:.0f} s, {self.meanwhile}"
        if now < self._due:
            return None
        child.kill()  # processes that it left in its group hold its port and its memory
        child.start()
        self._due, self._started = None, now
        return f"{child.name} was restarted"
