"""The 10,000 buckets of a layer: the ranges of running experiments never overlap, and a range only grows."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

from abtest.assignment import BUCKETS

BucketRange = tuple[int, int]  # half-open


def buckets_of(percent: float) -> int:
    """The number of buckets that cover this percentage of a layer: at least one."""
    return max(1, round(percent * BUCKETS / 100))


def percent_of(buckets: int) -> float:
    """The percentage of a layer that this number of buckets covers."""
    return buckets * 100 / BUCKETS


def overlapping(wanted: BucketRange, taken: Sequence[BucketRange]) -> list[BucketRange]:
    """The taken ranges that share a bucket with the wanted range."""
    return [(low, high) for low, high in taken if low < wanted[1] and wanted[0] < high]


def first_free(width: int, taken: Sequence[BucketRange]) -> BucketRange | None:
    """The lowest free range of this width; None where no gap is wide enough."""
    low = 0
    for start, end in sorted(taken):
        if start - low >= width:
            break
        low = max(low, end)
    return (low, low + width) if low + width <= BUCKETS else None


def widen(held: BucketRange, width: int, taken: Sequence[BucketRange]) -> BucketRange | None:
    """A range of this width around the held range that avoids the taken ones and grows upwards first; None where there
    is no room.

    Every held bucket stays held: units already enrolled keep their arm.
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
