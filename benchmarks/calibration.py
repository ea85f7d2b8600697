"""False alarms and power of every test, on simulated units that differ in propensity and in impressions.

    python -m benchmarks.calibration                       # 20,000 runs per cell, about twenty minutes on one core
    python -m benchmarks.calibration --runs 1000           # a quick look

One run draws the units of each arm, sums them and asks `abtest.stats`, with the verdict rules off; daily looks at rare
conversions go through the whole verdict. A unit has m
impressions (geometric, mean 8) and its own conversion rate q ~ Beta with mean p and intra-unit correlation ρ, so that
the design effect is 1 + ρ·(E[m²]/E[m] - 1).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from abtest.ratio_check import sample_ratio, sequential_sample_ratio
from abtest.stats import UnitSums, always_valid_lift, evidence, ratio_lift
from abtest.verdict import compare_arms, verdict
from benchmarks.record import record

IMPRESSIONS = 8  # mean per unit
CLUSTER = 2 * IMPRESSIONS - 1  # E[m²]/E[m] of the geometric distribution
ALPHA = 0.05
CRITICAL = float(ndtri(1 - ALPHA / 2))
CELLS = [(conversions, effect) for conversions in (5, 10, 20, 50, 400) for effect in (1.0, 2.75, 4.0)]
UNITS = {5: 250, 10: 250, 20: 250, 50: 500, 400: 2000}  # units an arm, by conversions an arm
STATED_POWERS = (0.8, 0.9)  # the lifts are those at which the oracle has this power
# days looked at, days a unit keeps coming, units an arm in all, p
DAYS, STAY, DAILY_UNITS, DAILY_RATE = 20, 5, 1000, 0.1
RARE_DAILY_UNITS = 50
RARE = [(conversions, effect) for conversions in (10, 20, 50) for effect in (1.0, 2.75)]  # conversions per arm
RATIOS: list[tuple[tuple[int, ...], int]] = [((1, 1), 200), ((9, 1), 50), ((999, 1), 100), ((2, 1, 1), 100)]
CHUNK = 2_000_000  # units drawn at once


@dataclass(frozen=True)
class Market:
    """One arm's units: how many, how often they convert, how alike the impressions of one unit are."""

    units: int
    rate: float  # p, conversions per impression
    design_effect: float

    @property
    def ratio_variance(self) -> float:
        """The true Var(R), which only an oracle knows."""
        return self.rate * (1 - self.rate) * self.design_effect / (self.units * IMPRESSIONS)

    def lifted(self, lift: float) -> Market:
        return Market(self.units, self.rate * (1 + lift), self.design_effect)

    def propensities(self, rng: np.random.Generator, runs: int) -> Any:
        """[runs, units] conversion rates q."""
        correlation = (self.design_effect - 1) / (CLUSTER - 1)
        if correlation == 0:
            return np.full((runs, self.units), self.rate)
        strength = 1 / correlation - 1
        return rng.beta(self.rate * strength, (1 - self.rate) * strength, (runs, self.units))

    def sums(self, rng: np.random.Generator, runs: int) -> Iterator[UnitSums]:
        """One UnitSums per run."""
        for start in range(0, runs, step := max(1, CHUNK // self.units)):
            rows = min(step, runs - start)
            impressions = rng.geometric(1 / IMPRESSIONS, (rows, self.units))
            yield from unit_sums(impressions, rng.binomial(impressions, self.propensities(rng, rows)))


def unit_sums(x: Any, y: Any) -> Iterator[UnitSums]:
    """[runs, units] impressions and conversions → one UnitSums per run, over units with an impression."""
    moments = ((x > 0).sum(1), x.sum(1), y.sum(1), (x * x).sum(1), (y * y).sum(1), (x * y).sum(1))
    for row in zip(*(moment.tolist() for moment in moments), strict=True):
        yield UnitSums(*row)


def rejections(treatment: UnitSums, control: UnitSums, true_variance: float) -> dict[str, bool]:
    """Which tests reject, and whether both arms are too low for a verdict."""
    fieller, exact = ratio_lift(treatment, control), ratio_lift(treatment, control, method="exact")
    difference = treatment.sum_y / treatment.sum_x - control.sum_y / control.sum_x
    pooled = (treatment.sum_y + control.sum_y) / (treatment.sum_x + control.sum_x)
    naive_variance = pooled * (1 - pooled) * (1 / treatment.sum_x + 1 / control.sum_x)
    return {
        "fieller": fieller.p_value is not None and fieller.p_value < ALPHA,
        "exact": exact.p_value is not None and exact.p_value < ALPHA,
        "oracle": abs(difference) > CRITICAL * sqrt(true_variance),
        "naive": abs(difference) > CRITICAL * sqrt(naive_variance),
        "withheld": evidence(treatment, control) == "counts",
    }


def shares(treatment: Market, control: Market, rng: np.random.Generator, runs: int) -> dict[str, float]:
    """Share of runs in which each test rejects."""
    variance = treatment.ratio_variance + control.ratio_variance
    drawn = zip(treatment.sums(rng, runs), control.sums(rng, runs), strict=True)
    counts = {"fieller": 0, "exact": 0, "oracle": 0, "naive": 0, "withheld": 0}
    for treated, untreated in drawn:
        for name, rejected in rejections(treated, untreated, variance).items():
            counts[name] += rejected
    return {name: count / runs for name, count in counts.items()}


def lift_with_power(control: Market, power: float) -> float:
    """The lift at which the oracle's test has this power."""

    def excess(lift: float) -> float:
        variance = control.ratio_variance + control.lifted(lift).ratio_variance
        return float(ndtr(control.rate * lift / sqrt(variance) - CRITICAL)) - power

    return float(brentq(excess, 1e-3, 0.9 / control.rate - 1))


def daily_looks(rng: np.random.Generator, runs: int, progress: Progress, task: Any) -> dict[str, float]:
    """A/A with twenty looks at cumulative sums of returning units: share of runs in which some look rejects."""
    market = Market(DAILY_UNITS, DAILY_RATE, design_effect=2.75)
    planned = 2 * DAILY_UNITS
    counts = {"fixed": 0, "always_valid": 0}
    step = 100
    for _ in range(0, runs, step):
        looks = [list(_cumulative(market, rng, step)) for _ in range(2)]  # [arm][day][run]
        for run in range(step):
            pairs = [(looks[0][day][run], looks[1][day][run]) for day in range(DAYS)]
            counts["fixed"] += any((ratio_lift(*pair).p_value or 1) < ALPHA for pair in pairs)
            counts["always_valid"] += any(
                (always_valid_lift(*pair, planned_units=planned).p_value or 1) < ALPHA for pair in pairs
            )
        progress.advance(task, step)
    return {name: count / runs for name, count in counts.items()}


def _cumulative(market: Market, rng: np.random.Generator, runs: int) -> Iterator[list[UnitSums]]:
    """Day by day: every unit's impressions and conversions so far, summed. New units come every day and return for some
    days.
    """
    propensity = market.propensities(rng, runs)
    appetite = rng.gamma(1.0, IMPRESSIONS / STAY, propensity.shape)  # impressions a day, while it stays
    first_day = rng.integers(0, DAYS, propensity.shape)
    x, y = np.zeros(propensity.shape, dtype=np.int64), np.zeros(propensity.shape, dtype=np.int64)
    for day in range(DAYS):
        today = rng.poisson(np.where((first_day <= day) & (day < first_day + STAY), appetite, 0.0))
        x += today
        y += rng.binomial(today, propensity)
        yield list(unit_sums(x, y))


def rare_looks(conversions: int, effect: float, rng: np.random.Generator, runs: int) -> float:
    """A/A with twenty daily looks from the first conversion on: share of runs in which some look declares a winner or
    harm. The arms go through both low, one low and none low.
    """
    control = Market(DAYS * RARE_DAILY_UNITS, conversions / (DAYS * RARE_DAILY_UNITS * IMPRESSIONS), effect)
    wrong = 0
    for _ in range(0, runs, step := 100):
        looks = [list(_arriving(control, rng, step)) for _ in range(2)]  # [arm][day][run]
        for run in range(step):
            pairs = ((looks[0][day][run], looks[1][day][run]) for day in range(DAYS))
            wrong += any(_declares(treatment, other) for treatment, other in pairs)
    return wrong / runs


def _declares(treatment: UnitSums, control: UnitSums) -> bool:
    (comparison,) = compare_arms([treatment], control, planned_units=2 * DAYS * RARE_DAILY_UNITS)
    return verdict(comparison, name="treatment", final=False, alarm=False).status in ("better", "worse")


def _arriving(market: Market, rng: np.random.Generator, runs: int) -> Iterator[list[UnitSums]]:
    """Day by day: new units come, each with all of its impressions."""
    impressions = rng.geometric(1 / IMPRESSIONS, (runs, market.units))
    conversions = rng.binomial(impressions, market.propensities(rng, runs))
    for day in range(1, DAYS + 1):
        units = day * RARE_DAILY_UNITS
        yield list(unit_sums(impressions[:, :units], conversions[:, :units]))


def ratio_looks(weights: tuple[int, ...], daily: int, rng: np.random.Generator, runs: int) -> dict[str, float]:
    """Twenty daily looks at units that fall as configured: share of runs in which some look raises the alarm."""
    shares = np.array(weights) / sum(weights)
    days = rng.multinomial(daily, shares, (runs, DAYS)).cumsum(1).tolist()
    planned = daily * DAYS
    return {
        "each_look": sum(any(sample_ratio(day, weights).alarm for day in run) for run in days) / runs,
        "sequential": sum(
            any(sequential_sample_ratio(day, weights, planned_units=planned).alarm for day in run) for run in days
        )
        / runs,
    }


def calibrate(runs: int, seed: int) -> dict[str, Any]:
    """Every cell, with a progress bar."""
    rng = np.random.default_rng(seed)
    cells = []
    with Progress() as progress:
        task = progress.add_task("cells", total=len(CELLS))
        for conversions, effect in CELLS:
            units = UNITS[conversions]
            control = Market(units, conversions / (units * IMPRESSIONS), effect)
            cell: dict[str, Any] = {
                "conversions": conversions,
                "design_effect": effect,
                "aa": shares(control, control, rng, runs),
            }
            for power in STATED_POWERS:
                lift = lift_with_power(control, power)
                found = shares(control.lifted(lift), control, rng, runs)
                ratios = {name: found[name] / found["oracle"] for name in ("fieller", "exact")}
                cell[f"at_power_{power:g}"] = {"lift": lift, **found, "against_oracle": ratios}
            cells.append(cell)
            progress.advance(task)
        looks = daily_looks(rng, runs, progress, progress.add_task("daily looks", total=runs))
        rare = progress.track(RARE, description="rare conversions")
        rare_cells = [
            {"conversions": few, "design_effect": effect, "wrong": rare_looks(few, effect, rng, runs // 10)}
            for few, effect in rare
        ]
        ratio_cells = [
            {"weights": weights, "units_a_day": daily, **ratio_looks(weights, daily, rng, runs // 10)}
            for weights, daily in progress.track(RATIOS, description="sample ratio")
        ]
    return {
        "runs": runs,
        "seed": seed,
        "alpha": ALPHA,
        "cells": cells,
        "twenty_daily_looks": looks,
        "verdicts_at_rare_conversions": rare_cells,
        "sample_ratio_looks": ratio_cells,
    }


def tables(figures: dict[str, Any]) -> Iterator[Table]:
    table = Table(
        "conv. an arm",
        "design effect",
        "Fieller",
        "exact",
        "oracle",
        "naive",
        "withheld",
        title="A/A: share of runs that reject at 5 %",
    )
    for cell in figures["cells"]:
        aa = (f"{cell['aa'][name]:.2%}" for name in ("fieller", "exact", "oracle", "naive", "withheld"))
        table.add_row(str(cell["conversions"]), f"{cell['design_effect']:g}", *aa)
    yield table
    table = Table(
        "conv. an arm", "design effect", "lift", "oracle", "Fieller/oracle", "exact/oracle", "withheld", title="Power"
    )
    for cell in figures["cells"]:
        for power in STATED_POWERS:
            at = cell[f"at_power_{power:g}"]
            ratios = (f"{at['against_oracle'][name]:.3f}" for name in ("fieller", "exact"))
            table.add_row(
                str(cell["conversions"]),
                f"{cell['design_effect']:g}",
                f"+{at['lift']:.0%}",
                f"{at['oracle']:.1%}",
                *ratios,
                f"{at['withheld']:.1%}",
            )
    yield table
    table = Table("look", "A/A runs with a rejection", title="Twenty daily looks, returning units")
    for name, share in figures["twenty_daily_looks"].items():
        table.add_row(name, f"{share:.2%}")
    yield table
    table = Table("conv. per arm", "design effect", "better or worse", title="A/A verdicts, twenty daily looks")
    for cell in figures["verdicts_at_rare_conversions"]:
        table.add_row(str(cell["conversions"]), f"{cell['design_effect']:g}", f"{cell['wrong']:.2%}")
    yield table
    table = Table(
        "weights", "units a day", "each look", "sequential", title="Sample-ratio alarms at 0.1 %, twenty looks"
    )
    for cell in figures["sample_ratio_looks"]:
        weights = ":".join(map(str, cell["weights"]))
        table.add_row(weights, str(cell["units_a_day"]), f"{cell['each_look']:.2%}", f"{cell['sequential']:.2%}")
    yield table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--runs",
        type=int,
        default=20_000,
        help="runs per cell, a multiple of 1,000; a tenth of it for verdicts and sample ratios",
    )
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--out", type=Path, help="JSON file; default benchmarks/results/calibration.json")
    options = parser.parse_args()
    figures = calibrate(options.runs, options.seed)
    for table in tables(figures):
        Console(width=120).print(table)
    print(record("calibration", figures, ("numpy", "scipy"), options.out))


if __name__ == "__main__":
    main()
