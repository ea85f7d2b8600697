"""A layer's 10,000 buckets and who holds them: ranges of running experiments never overlap, and a range only ever
grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

from abtest.assignment import BUCKETS

Range = tuple[int, int]  # half-open


def overlapping(wanted: Range, taken: Sequence[Range]) -> list[Range]:
    """The taken ranges that share a bucket with the wanted one."""
    return [(low, high) for low, high in taken if low < wanted[1] and wanted[0] < high]


def place(width: int, taken: Sequence[Range]) -> Range | None:
    """The lowest free range of this width; None where no gap is wide enough."""
    low = 0
    for start, end in sorted(taken):
        if start - low >= width:
            break
        low = max(low, end)
    return (low, low + width) if low + width <= BUCKETS else None


def widen(held: Range, width: int, taken: Sequence[Range]) -> Range | None:
    """A range of this width around the held one, grown upwards first, clear of the taken ones; None where they leave no
    room.

    Every bucket that was held stays held: ramping up moves nobody.
    """
    ceiling = min((start for start, _ in taken if start >= held[1]), default=BUCKETS)
    floor_ = max((end for _, end in taken if end <= held[0]), default=0)
    high = min(held[0] + width, ceiling)
    low = min(held[0], high - width)
    return (low, high) if low >= floor_ else None


def hundredths(weights: Sequence[float]) -> list[int]:
    """Weights scaled to sum to 10,000, by largest remainder (ties to the earlier arm): 1 and 1 are 5,000 and 5,000."""
    total = sum(weights)
    exact = [weight / total * BUCKETS for weight in weights]
    scaled = [floor(share) for share in exact]
    for i in sorted(range(len(exact)), key=lambda i: scaled[i] - exact[i])[: BUCKETS - sum(scaled)]:
        scaled[i] += 1
    return scaled
