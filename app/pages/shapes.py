"""The geometry of the small figures that are drawn on the server: interval bars on one shared axis, and sparklines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

HALF = 100.0  # an axis runs from -HALF to +HALF in the units of its drawing, zero in the middle
_REACHES = (0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
_EMPTY = 0.1  # of an axis with nothing on it
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
    """An interval as drawn: from x1 to x2; a side that goes on beyond the axis ends in an arrow."""

    x1: float
    x2: float
    open_left: bool
    open_right: bool


@dataclass(frozen=True, slots=True)
class Axis:
    """Relative changes from -reach to +reach, zero in the middle, shared by all rows so that their lengths compare."""

    reach: float

    @classmethod
    def around(cls, intervals: Iterable[Interval]) -> Axis:
        """The first round reach that holds every edge; ±100 % at most, beyond which arrows say that an interval goes
        on.
        """
        edges = [abs(edge) for one in intervals for edge in (one.value, one.low, one.high) if edge is not None]
        widest = max(edges, default=_EMPTY)
        return cls(next((reach for reach in _REACHES if reach >= widest), _REACHES[-1]))

    def x(self, change: float) -> float:
        """Where a change stands, held inside the axis."""
        return round(max(-HALF, min(HALF, change / self.reach * HALF)), 2)

    def segment(self, interval: Interval) -> Segment | None:
        """None for an interval without any limit."""
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
    points: str  # of an SVG polyline
    zero: float | None  # height of the zero line, where zero is in sight
    x: float  # the last point
    y: float


def spark(values: Sequence[float | None]) -> Spark | None:
    """A sparkline of a series, what is unknown left out; None with fewer than two points."""
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
