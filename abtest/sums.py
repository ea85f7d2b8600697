"""Sufficient statistics: a comparison needs only these sums of an arm, not the rows of its units.

The unit is what was randomised. Sums over disjoint sets of units add. Sums over the days of one unit do not, because a
unit that returns is still one unit (adding daily second moments gives 22.5 % false alarms at a nominal 5 %).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import pyarrow as pa

BATCH = 65_536  # rows: the four float columns of a batch stay in the processor's cache

_ROUNDING = 1e-9  # relative tolerance for inequalities that rounding errors can violate
_NO_SPREAD = 1e-12  # relative: a smaller residual is a rounding error


@dataclass(frozen=True, slots=True)
class _Sums:
    n: int  # units

    def __add__(self, other: Self) -> Self:
        """The sums of the union of two disjoint sets of units."""
        return type(self)(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def _check(self, first: tuple[str, ...], second: Mapping[str, tuple[str, str]]) -> None:
        """Raise ValueError, by argument, for sums that no units can have.

        first: names of the sums Σx; second: name of Σxy → names of Σx and Σy. A second moment may be NaN: the source
        did not keep it.
        """
        value = {field.name: getattr(self, field.name) for field in fields(self)}
        if not 0 <= self.n < math.inf or self.n != int(self.n):
            raise ValueError(f"n {self.n} must be a whole number of units, 0 or more")
        for name in (*first, *second):
            missing_allowed = name in second and math.isnan(value[name])
            if not missing_allowed and not 0 <= value[name] < math.inf:
                raise ValueError(
                    f"{name} {value[name]} must be a finite sum, 0 or more: counts and amounts are never negative"
                )
        for name, (x, y) in second.items():
            if self.n == 0 and (value[name] or value[x] or value[y]):
                raise ValueError(
                    f"{name} {value[name]}, {x} {value[x]} and {y} {value[y]} must be 0: there are no units (n is 0)"
                )
            if x == y and self.n * value[name] < value[x] ** 2 * (1 - _ROUNDING):
                raise ValueError(
                    f"{name} {value[name]} is impossible: at least {x}²/n = {value[x] ** 2 / self.n:.6g} (squares of "
                    "each unit, summed)"
                )
        square = {x: name for name, (x, y) in second.items() if x == y}
        for name, (x, y) in second.items():
            if value[name] ** 2 > value[square[x]] * value[square[y]] * (1 + _ROUNDING):
                raise ValueError(
                    f"{name} {value[name]} is impossible: its square is at most {square[x]} · {square[y]} "
                    "(Cauchy–Schwarz)"
                )


@dataclass(frozen=True, slots=True)
class UnitSums(_Sums):
    """One arm's sums over its units, for a ratio R = Σy / Σx, such as conversions y per impressions x.

    With x = 1 for every unit, R is a mean per unit. A second moment that the source did not keep is NaN: R is known,
    its variance is not.
    """

    sum_x: float
    sum_y: float
    sum_xx: float
    sum_yy: float
    sum_xy: float

    def __post_init__(self) -> None:
        self._check(
            ("sum_x", "sum_y"),
            {"sum_xx": ("sum_x", "sum_x"), "sum_yy": ("sum_y", "sum_y"), "sum_xy": ("sum_x", "sum_y")},
        )

    @property
    def ratio(self) -> float | None:
        """R = Σy / Σx; None without any x."""
        return self.sum_y / self.sum_x if self.sum_x else None

    @property
    def ratio_variance(self) -> float | None:
        """v = (Σyy - 2R·Σxy + R²·Σxx) / ((n-1)·n·x̄²)    delta method over units, Deng et al., KDD 2018.

        None where it is unknown: fewer than two units, no x, or a second moment missing.
        """
        ratio = self.ratio
        if ratio is None or self.n < 2:
            return None
        residual = self.sum_yy - 2 * ratio * self.sum_xy + ratio**2 * self.sum_xx
        if math.isnan(residual):
            return None
        spread = residual if residual > _NO_SPREAD * self.sum_yy else 0.0
        return spread * self.n / ((self.n - 1) * self.sum_x**2)

    @property
    def effective_conversions(self) -> float:
        """R²/v: how many independent conversions would give this precision. Σy where the variance is 0; 0 where v
        is unknown.
        """
        if not self.ratio or self.ratio_variance is None:
            return 0.0
        return self.ratio**2 / self.ratio_variance if self.ratio_variance else self.sum_y

    @property
    def design_effect(self) -> float | None:
        """v / (R(1-R)/Σx): the variance relative to that of as many independent trials. None where either is unknown
        or R is not in (0, 1).
        """
        if self.ratio_variance is None or not self.ratio or self.ratio >= 1:
            return None
        return self.ratio_variance * self.sum_x / (self.ratio * (1 - self.ratio))


@dataclass(frozen=True, slots=True)
class FunnelSums(_Sums):
    """One arm's sums over its units with at least one counted impression: i impressions, c counted clicks, v counted
    conversions.
    """

    impressions: float
    clicks: float
    conversions: float
    sum_ii: float
    sum_cc: float
    sum_vv: float
    sum_ic: float
    sum_iv: float
    sum_cv: float

    def __post_init__(self) -> None:
        i, c, v = names = ("impressions", "clicks", "conversions")
        self._check(
            names,
            {
                "sum_ii": (i, i),
                "sum_cc": (c, c),
                "sum_vv": (v, v),
                "sum_ic": (i, c),
                "sum_iv": (i, v),
                "sum_cv": (c, v),
            },
        )

    @property
    def ctr(self) -> UnitSums:
        """Clicks per impression."""
        return UnitSums(self.n, self.impressions, self.clicks, self.sum_ii, self.sum_cc, self.sum_ic)

    @property
    def cvr(self) -> UnitSums:
        """Conversions per click."""
        return UnitSums(self.n, self.clicks, self.conversions, self.sum_cc, self.sum_vv, self.sum_cv)

    @property
    def ctcvr(self) -> UnitSums:
        """Conversions per impression: CTCVR = CTR · CVR."""
        return UnitSums(self.n, self.impressions, self.conversions, self.sum_ii, self.sum_vv, self.sum_iv)

    @property
    def log_covariance(self) -> float | None:
        """Cov(ln CTR, ln CVR) = Σ(c - CTR·i)(v - CVR·c) / ((n-1)·n·ī·c̄·CTR·CVR), so that Var ln CTCVR = Var ln CTR +
        Var ln CVR + 2 Cov.

        None without clicks or conversions, or with fewer than two units. Conversions without clicks are possible
        sums: the source may count view-through conversions.
        """
        if not self.clicks or not self.conversions or self.n < 2:
            return None
        ctr, cvr = self.clicks / self.impressions, self.conversions / self.clicks
        residual = self.sum_cv - cvr * self.sum_cc - ctr * self.sum_iv + ctr * cvr * self.sum_ic
        return residual * self.n / ((self.n - 1) * self.clicks * self.conversions)


def funnel_sums(arm: Any, impressions: Any, clicks: Any, conversions: Any) -> dict[str, FunnelSums]:
    """The sums of every arm, from one row per unit: columns as Arrow or numpy arrays of one length, in any order of
    rows.

    One pass: a batch's Gram matrix of [1, i, c, v] holds n, the sums and the second moments at once.
    Raises ValueError for a column with nulls, whose units would silently be lost.
    """
    table = pa.table({"arm": arm, "impressions": impressions, "clicks": clicks, "conversions": conversions})
    for name in table.column_names:
        if nulls := table[name].null_count:
            raise ValueError(
                f"column {name} holds {nulls} nulls: fill in 0 for what did not happen, and leave out units without "
                "an arm"
            )
    grams: dict[str, np.ndarray[Any, Any]] = {}
    for batch in table.to_batches(max_chunksize=BATCH):
        columns = np.ones((4, batch.num_rows))
        for row, name in enumerate(("impressions", "clicks", "conversions"), start=1):
            columns[row] = batch[name].to_numpy(zero_copy_only=False)
        arms = batch["arm"].dictionary_encode()
        codes = arms.indices.to_numpy()
        for code, name in enumerate(arms.dictionary.to_pylist()):
            units = np.compress(codes == code, columns, axis=1)  # twice as fast as a boolean index
            grams[name] = grams.get(name, 0) + units @ units.T
    return {
        name: FunnelSums(
            int(g[0, 0]),
            *g[0, 1:].tolist(),
            *g.diagonal()[1:].tolist(),
            *(float(g[at]) for at in ((1, 2), (1, 3), (2, 3))),
        )
        for name, g in grams.items()
        if g[0, 0]
    }
