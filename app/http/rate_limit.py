"""Rate limits: one token bucket per key, in the memory of this process."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class RateLimits:
    """Token buckets by key id. A bucket holds one second of its rate (at least one call) and refills continuously.

    Each replica counts separately: with k replicas behind a load balancer, a key gets up to k times its rate.
    """

    def __init__(self, default_per_second: float, clock: Callable[[], float] = monotonic) -> None:
        self._default, self._clock = default_per_second, clock
        self._buckets: dict[int, tuple[float, float]] = {}  # key id: (calls left, counted at)

    def take(self, key_id: int, rate: float | None) -> float:
        """Count one call. Returns 0, or the seconds until a call is available; the call is then not counted."""
        per_second = rate or self._default
        size = max(per_second, 1.0)
        now = self._clock()
        left, at = self._buckets.get(key_id, (size, now))
        left = min(size, left + (now - at) * per_second)
        if left < 1.0:
            return (1.0 - left) / per_second
        self._buckets[key_id] = (left - 1.0, now)
        return 0.0
