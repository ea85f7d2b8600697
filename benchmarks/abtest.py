"""From one Arrow table of units to a report's figures: `abtest` against tea-tasting, and what one comparison costs.

    python -m benchmarks.abtest                            # 10 million units, five interleaved pairs
    python -m benchmarks.abtest --units 1000000

Both compute, for CTR, CVR and CTCVR: units, both ratios, relative lift, its log-scale interval, z and p (normal,
unpooled); they must agree to 1e-9. With several Arrow threads tea-tasting 1.14 over narwhals 2.29 loses the order of
rows between columns and is wrong in the fourth digit, so it is compared on one thread and timed both ways: the ratio
is to the faster. PostgreSQL is measured elsewhere.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import tea_tasting as tt  # type: ignore[import-untyped]
from rich.console import Console
from rich.progress import track
from rich.table import Table

from abtest.stats import UnitSums, always_valid_lift, funnel_sums, ratio_lift
from benchmarks.record import record

RATIOS = {"ctr": ("clicks", "impressions"), "cvr": ("conversions", "clicks"), "ctcvr": ("conversions", "impressions")}
MAX_TIME_RATIO = 0.5  # largest time as a multiple of tea-tasting's
MAX_COMPARISON_MS = 0.5
TOLERANCE = 1e-9

Figures = dict[str, tuple[Any, ...]]


def a_table(units: int, seed: int) -> pa.Table:
    """One row per unit, two arms, counts as a warehouse keeps them."""
    rng = np.random.default_rng(seed)
    treated = rng.random(units) < 0.5
    impressions = rng.geometric(0.25, units)
    clicks = rng.binomial(impressions, np.where(treated, 0.105, 0.1))
    conversions = rng.binomial(clicks, 0.1)
    arm = pa.DictionaryArray.from_arrays(treated.astype(np.int32), ["control", "treatment"]).cast(pa.string())
    return pa.table({"arm": arm, "impressions": impressions, "clicks": clicks, "conversions": conversions})


def ours(table: pa.Table) -> Figures:
    sums = funnel_sums(table["arm"], table["impressions"], table["clicks"], table["conversions"])
    figures = {}
    for name in RATIOS:
        treatment, control = (getattr(sums[arm], name) for arm in ("treatment", "control"))
        fieller, log = ratio_lift(treatment, control), ratio_lift(treatment, control, method="log")
        figures[name] = (
            control.n,
            treatment.n,
            control.ratio,
            treatment.ratio,
            fieller.value,
            log.low,
            log.high,
            fieller.z,
            fieller.p_value,
        )
    return figures


def theirs(table: pa.Table) -> Figures:
    metrics: dict[str, Any] = {name: tt.RatioOfMeans(*columns, use_t=False) for name, columns in RATIOS.items()}
    metrics["units"] = tt.SampleRatio()
    found: Any = tt.Experiment(metrics, variant="arm").analyze(table, control="control")
    return {
        name: (
            found["units"].control,
            found["units"].treatment,
            metric.control,
            metric.treatment,
            metric.rel_effect_size,
            metric.rel_effect_size_ci_lower,
            metric.rel_effect_size_ci_upper,
            metric.statistic,
            metric.pvalue,
        )
        for name in RATIOS
        for metric in (found[name],)
    }


def disagreement(first: Figures, second: Figures) -> float:
    """The largest difference of two sets of figures, relative to figures above first."""
    return max(
        float(abs(a - b) / max(1.0, abs(b))) for name in RATIOS for a, b in zip(first[name], second[name], strict=True)
    )


def timed(compute: Any, table: pa.Table) -> tuple[float, Figures]:
    start = perf_counter()
    figures = compute(table)
    return perf_counter() - start, figures


def comparison_ms(repeats: int = 2000) -> dict[str, float]:
    """Median time of one comparison, sums given, by method."""
    treatment = UnitSums(1_000_000, 4_000_000, 42_000, 28_000_000, 46_000, 310_000)
    control = UnitSums(1_000_000, 4_000_000, 40_000, 28_000_000, 44_000, 300_000)
    methods: dict[str, Any] = {
        "fieller": lambda: ratio_lift(treatment, control),
        "log": lambda: ratio_lift(treatment, control, method="log"),
        "exact": lambda: ratio_lift(treatment, control, method="exact"),
        "always-valid": lambda: always_valid_lift(treatment, control, planned_units=2_000_000),
    }
    medians = {}
    for name, compare in methods.items():
        times = []
        for _ in range(repeats):
            start = perf_counter()
            compare()
            times.append(perf_counter() - start)
        medians[name] = 1000 * statistics.median(times)
    return medians


def measure(units: int, pairs: int, seed: int) -> dict[str, Any]:
    table = a_table(units, seed)
    threads = pa.cpu_count()
    seconds: dict[str, list[float]] = {"ours": [], "theirs, one thread": [], f"theirs, {threads} threads": []}
    apart = 0.0
    for _ in track(range(pairs + 1), description=f"{units:,} units"):  # the first round warms up
        pa.set_cpu_count(1)
        mine, my_figures = timed(ours, table)
        single, their_figures = timed(theirs, table)
        pa.set_cpu_count(threads)
        threaded, _ = timed(theirs, table)
        apart = max(apart, disagreement(my_figures, their_figures))
        for times, latest in zip(seconds.values(), (mine, single, threaded), strict=True):
            times.append(latest)
    seconds = {name: times[1:] for name, times in seconds.items()}
    ratio = statistics.median(mine / min(both) for mine, *both in zip(*seconds.values(), strict=True))
    return {
        "units": units,
        "seconds": seconds,
        "time_ratio": ratio,
        "largest_disagreement": apart,
        "comparison_ms": comparison_ms(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=10_000_000)
    parser.add_argument("--pairs", type=int, default=5, help="interleaved pairs of runs")
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--out", type=Path, help="JSON file; default benchmarks/results/abtest.json")
    options = parser.parse_args()
    figures = measure(options.units, options.pairs, options.seed)
    table = Table("figure", "measured", "allowed", title="abtest against tea-tasting")
    table.add_row("time ratio, median of pairs", f"{figures['time_ratio']:.3f}", f"{MAX_TIME_RATIO}")
    for name, times in figures["seconds"].items():
        table.add_row(f"seconds, {name}", f"{statistics.median(times):.2f}", "")
    table.add_row("largest disagreement", f"{figures['largest_disagreement']:.1e}", f"{TOLERANCE:.0e}")
    for method, milliseconds in figures["comparison_ms"].items():
        table.add_row(f"one comparison, {method}, ms", f"{milliseconds:.4f}", f"{MAX_COMPARISON_MS}")
    Console(width=100).print(table)
    print(record("abtest", figures, ("numpy", "scipy", "pyarrow", "tea-tasting"), options.out))


if __name__ == "__main__":
    main()
