"""The arm of a unit: two hashes and no state, so that an audit years later gives the same answer.

A unit is covered when its bucket under the layer's salt lies in the experiment's range: experiments of one layer
exclude each other, and increasing coverage keeps every enrolled unit in its arm. The arm follows from the unit's bucket
under the experiment's own salt, so it is independent of coverage.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate

BUCKETS = 10_000


def bucket(salt: str, unit_id: str) -> int:
    """The unit's bucket under a salt, uniform in [0, 10000): h · 10000 >> 64, h the first 8 bytes of
    SHA-256(`salt:unit_id`), big-endian.

    Raises ValueError for a salt with a colon: `a:b` with unit `c` would be `a` with unit `b:c`.
    """
    if ":" in salt:
        raise ValueError(
            f"salt {salt!r} holds a colon, which separates salt from unit id: use letters, digits and dashes"
        )
    digest = sha256(f"{salt}:{unit_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") * BUCKETS >> 64


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of an experiment: the policy it serves and how many of 10,000 covered units it gets (0: paused)."""

    name: str
    policy: str
    weight: int

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("an arm's name is empty: name it, such as control or relate")
        if not 0 <= self.weight <= BUCKETS:
            raise ValueError(
                f"weight {self.weight} of arm {self.name!r} must lie in 0..{BUCKETS} (hundredths of a percent)"
            )


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """What assignment needs of one phase of an experiment. Changing the weights opens a phase with another salt."""

    layer_salt: str
    salt: str
    low: int  # coverage: buckets [low, high) of the layer
    high: int
    arms: tuple[Arm, ...]
    # cumulative weights: an arm owns the buckets below its bound
    _bounds: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for salt in (self.layer_salt, self.salt):
            if not salt or ":" in salt:
                raise ValueError(f"salt {salt!r} must be non-empty and hold no colon: use letters, digits and dashes")
        if self.layer_salt == self.salt:
            raise ValueError(
                f"salt {self.salt!r} is the layer's salt too: coverage would decide the arm; give the phase a salt of "
                "its own"
            )
        if not 0 <= self.low <= self.high <= BUCKETS:
            raise ValueError(f"range [{self.low}, {self.high}) must lie in [0, {BUCKETS}] with low <= high")
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ValueError(f"arm names {names} repeat: name each arm once")
        if (total := sum(arm.weight for arm in self.arms)) != BUCKETS:
            raise ValueError(f"the arms' weights sum to {total}, not to {BUCKETS}: weights are hundredths of a percent")
        object.__setattr__(self, "_bounds", tuple(accumulate(arm.weight for arm in self.arms)))


def assign(experiment: ExperimentPlan, unit_id: str) -> str | None:
    """The name of the unit's arm, or None for a unit outside coverage."""
    if not experiment.low <= bucket(experiment.layer_salt, unit_id) < experiment.high:
        return None
    return experiment.arms[bisect_right(experiment._bounds, bucket(experiment.salt, unit_id))].name
