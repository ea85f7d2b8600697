"""The geometry of the small figures drawn on the server: interval bars on one shared axis, and sparklines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

HALF = 100.0  # an axis runs from -HALF to +HALF in the units of its drawing, zero in the middle
_REACHES = (0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
_EMPTY = 0.1  # reach of an empty axis
SPARK_WIDTH, SPARK_HEIGHT = 96.0, 22.0


class Interval(Protocol):
    @property
    def value(self) -> float | None: ...

    @property
    def low(self) -> float | None: ...

    @property
    def high(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Segment:
    """An interval as drawn: from x1 to x2. A side that continues beyond the axis ends in an arrow."""

    x1: float
    x2: float
    open_left: bool
    open_right: bool


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of relative changes from -reach to +reach with zero in the middle. All rows share it, so that their
    lengths can be compared.
    """

    reach: float

    @classmethod
    def around(cls, intervals: Iterable[Interval]) -> Axis:
        """The smallest round reach that holds every limit, at most ±100 %. An arrow shows that an interval continues
        beyond it.
        """
        edges = [
            abs(edge)
            for interval in intervals
            for edge in (interval.value, interval.low, interval.high)
            if edge is not None
        ]
        widest = max(edges, default=_EMPTY)
        return cls(next((reach for reach in _REACHES if reach >= widest), _REACHES[-1]))

    def x(self, change: float) -> float:
        """The position of a change, clamped to the axis."""
        return round(max(-HALF, min(HALF, change / self.reach * HALF)), 2)

    def segment(self, interval: Interval) -> Segment | None:
        """The interval as a segment; None for an interval without limits."""
        low, high = interval.low, interval.high
        if low is None and high is None:
            return None
        return Segment(
            x1=-HALF if low is None else self.x(low),
            x2=HALF if high is None else self.x(high),
            open_left=low is None or low < -self.reach,
            open_right=high is None or high > self.reach,
        )


@dataclass(frozen=True, slots=True)
class Spark:
    points: str  # for an SVG polyline
    zero: float | None  # height of the zero line, where zero is visible
    x: float  # the last point
    y: float


def spark(values: Sequence[float | None]) -> Spark | None:
    """A sparkline of a series without its unknown values; None with fewer than two points."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None
    low, high = min(*known, 0.0), max(*known, 0.0)
    height = (high - low) or 1.0
    margin, step = 2.0, (SPARK_WIDTH - 6) / (len(known) - 1)

    def y(value: float) -> float:
        return round(margin + (high - value) / height * (SPARK_HEIGHT - 2 * margin), 2)

    points = [(round(2 + i * step, 2), y(value)) for i, value in enumerate(known)]
    return Spark(" ".join(f"{x:g},{height:g}" for x, height in points), y(0.0), *points[-1])
