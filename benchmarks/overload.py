"""What is left of the service when more is asked of it than it can answer.

    python -m benchmarks.overload                      # both sections: about ten minutes
    python -m benchmarks.overload --quick --only hits  # a glance at one section; writes nothing unless --out is given
    python -m benchmarks.overload --before FILE        # keep the figures of an earlier run beside the new ones

hits     open loop over pooled keys at 0.5, 1, 1.5 and 3 × capacity. Goodput counts answers with a text within the
         deadline. f is the processor time of one refusal over that of one hit; with it no server reaches more than
         (1 - 3f) / (1 - f) of its capacity at 3 ×.
misses   the same over keys that were never asked for, in front of a model server with a fixed number of places.
         Goodput counts texts that the model wrote for the request, within the deadline.
storm    two thousand callers who ask again the moment they are refused.

Capacity is the rate of a closed loop just before. The load generator shares the machine with the service.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.up.stack import Stack
from benchmarks.lab import Lab, closed_port
from benchmarks.load import Load, build
from benchmarks.record import destination, record
from benchmarks.serving import PACKAGES, hit_requests, pool
from benchmarks.serving import Plan as ServingPlan
from benchmarks.serving_goals import Goal
from benchmarks.workload import Workload

Figures = dict[str, Any]
Say = Callable[[str], None]
FACTORS = (0.5, 1.0, 1.5, 3.0)
CLOSED = 32  # callers of the closed loop that finds the capacity
DEADLINE_MS = 200  # the default of POST /generate
MISS_DEADLINE_MS = 1_500
WRITING_S = 0.5  # an answer of the model server
PLACES = 16  # calls that the model server takes at once


@dataclass(frozen=True)
class Plan:
    """How much is run."""

    rounds: int = 3
    seconds: float = 8.0  # duration of one load
    connections: int = 4_000
    storm: int = 2_000
    keys: int = 2_000
    units: int = 40_000

    @property
    def pooled(self) -> ServingPlan:
        return ServingPlan(keys=self.keys, units=self.units)


QUICK = Plan(rounds=1, seconds=2.0, connections=1_000, storm=500, keys=500, units=5_000)


def hits(lab: Lab, plan: Plan, say: Say) -> Figures:
    """Goodput over capacity at each factor, and what a refusal costs."""
    rounds = []
    with pool(lab, plan.pooled, closed_port(), say) as stack:
        file = hit_requests(lab, plan.pooled, stack, 1, deadline_ms=DEADLINE_MS)
        for number in range(plan.rounds):
            say(f"hits: round {number + 1} of {plan.rounds}, capacity")
            used, closed = _measured(
                stack,
                lambda: lab.generator.closed(
                    file, port=stack.settings.port, connections=CLOSED, seconds=plan.seconds, limit_ms=DEADLINE_MS
                ),
            )
            capacity, hit_s = closed.with_text / closed.elapsed_s, used / closed.with_text
            found: Figures = {"capacity_per_second": capacity, "hit_ms": hit_s * 1000}
            for factor in FACTORS:
                say(f"hits: round {number + 1} of {plan.rounds}, {factor:g} × capacity")
                used, load = _measured(stack, partial(_opened, lab, plan, file, stack, capacity * factor))
                found[f"{factor:g}"] = _goodput(load, load.in_time_with_text / plan.seconds, capacity)
            refused = load.statuses.get("503", 0)
            cost = (used - load.with_text * hit_s) / refused / hit_s if refused else 0.0
            bound = (1 - FACTORS[-1] * cost) / (1 - cost)
            found |= {"refusal_cost": cost, "bound": bound, "of_bound": found["3"]["of_capacity"] / bound}
            rounds.append(found)
    return {"deadline_ms": DEADLINE_MS, **_median(rounds), "rounds": rounds}


def storm(lab: Lab, plan: Plan, say: Say) -> Figures:
    """Callers in a closed loop: a refusal is followed by the next request at once."""
    with pool(lab, plan.pooled, closed_port(), say) as stack:
        file = hit_requests(lab, plan.pooled, stack, 1, deadline_ms=DEADLINE_MS)
        port, seconds = stack.settings.port, plan.seconds
        say("storm: capacity")
        closed = lab.generator.closed(file, port=port, connections=CLOSED, seconds=seconds, limit_ms=DEADLINE_MS)
        capacity = closed.with_text / closed.elapsed_s
        say(f"storm: {plan.storm} callers")
        load = lab.generator.closed(file, port=port, connections=plan.storm, seconds=seconds, limit_ms=DEADLINE_MS)
    return {"capacity_per_second": capacity, **_goodput(load, load.in_time_with_text / load.elapsed_s, capacity)}


def misses(lab: Lab, plan: Plan, say: Say) -> Figures:
    """Texts written in time over the rate at which the model server can write. Each round starts the service anew: what
    an overload leaves behind would be charged to the next capacity.
    """
    rounds = []
    never_asked = count(1)

    def file(stack: Stack, requests: float) -> Path:
        key = stack.keys["generate"]
        written = (
            lab.workload.request(next(never_asked), unit, n=1, deadline_ms=MISS_DEADLINE_MS, key=key)
            for unit in range(int(requests) + 2)
        )
        return lab.requests("misses", written)

    for number in range(plan.rounds):
        say(f"misses: round {number + 1} of {plan.rounds}, capacity")
        with (
            lab.upstream(WRITING_S) as upstream,
            lab.service("misses", policy_url=upstream, policy_concurrency=PLACES) as stack,
        ):
            closes = partial(
                lab.generator.closed, port=stack.settings.port, connections=PLACES, limit_ms=MISS_DEADLINE_MS
            )
            closes(file(stack, 4 * PLACES), count=4 * PLACES)  # the first of everything is slow
            closed = closes(file(stack, PLACES / WRITING_S * plan.seconds * 2), seconds=plan.seconds)
            capacity = closed.in_time_fresh / closed.elapsed_s
            found: Figures = {"capacity_per_second": capacity}
            for factor in FACTORS:
                say(f"misses: round {number + 1} of {plan.rounds}, {factor:g} × capacity")
                requests = file(stack, capacity * factor * plan.seconds)
                load = _opened(lab, plan, requests, stack, capacity * factor, limit_ms=MISS_DEADLINE_MS)
                found[f"{factor:g}"] = _goodput(load, load.in_time_fresh / plan.seconds, capacity)
        found["peak"] = max(1.0, *(found[f"{factor:g}"]["of_capacity"] for factor in FACTORS))
        found["of_peak"] = found["3"]["of_capacity"] / found["peak"]
        rounds.append(found)
    return {"deadline_ms": MISS_DEADLINE_MS, **_median(rounds), "rounds": rounds}


def _opened(lab: Lab, plan: Plan, file: Path, stack: Stack, rate: float, *, limit_ms: float = DEADLINE_MS) -> Load:
    return lab.generator.opened(
        file,
        port=stack.settings.port,
        connections=plan.connections,
        rate=rate,
        seconds=plan.seconds,
        limit_ms=limit_ms,
    )


def _measured(stack: Stack, run: Callable[[], Load]) -> tuple[float, Load]:
    """A load, and the processor seconds that the service's process spent meanwhile."""
    assert stack.api is not None
    process = psutil.Process(stack.api.pid)
    before = process.cpu_times()
    load = run()
    after = process.cpu_times()
    return after.user + after.system - before.user - before.system, load


def _goodput(load: Load, per_second: float, capacity: float) -> Figures:
    return {
        "goodput_per_second": per_second,
        "of_capacity": per_second / capacity,
        "refused": load.statuses.get("503", 0),
        "refusal_p99_ms": load.refusal_ms.p99,
        "served_p99_ms": load.latency_ms.p99,
        **asdict(load),
    }


def _median(rounds: list[Figures]) -> Figures:
    """The middle of each figure over the rounds; of each factor's only what the table shows."""
    shown = ("goodput_per_second", "of_capacity", "refused", "refusal_p99_ms", "served_p99_ms")
    return {
        name: {part: median(found[name][part] for found in rounds) for part in shown}
        if isinstance(value, dict)
        else median(found[name] for found in rounds)
        for name, value in rounds[0].items()
    }


def goals(figures: Figures) -> Iterator[Goal]:
    """What the sections that were run must show."""
    if found := figures.get("hits"):
        yield Goal("hits at 3 ×: goodput / what refusing leaves", found["of_bound"], ">=", 0.9)
        yield Goal("hits at 3 ×: refusals, p99 ms", found["3"]["refusal_p99_ms"], "<=", 50)
    if found := figures.get("misses"):
        yield Goal("misses at 3 ×: goodput / peak", found["of_peak"], ">=", 0.9)
        yield Goal("misses at 3 ×: refusals, p99 ms", found["3"]["refusal_p99_ms"], "<=", 50)


SECTIONS: dict[str, Callable[[Lab, Plan, Say], Figures]] = {"hits": hits, "storm": storm, "misses": misses}


def measure(names: list[str], plan: Plan, folder: Path) -> Figures:
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=Console(stderr=True)
    ) as progress:
        task = progress.add_task("building the load generator", total=None)
        lab = Lab(folder, build(folder), Workload())
        return {name: SECTIONS[name](lab, plan, lambda step: progress.update(task, description=step)) for name in names}


def table(figures: Figures, title: str) -> Table:
    columns = ("section", "load", "goodput/s", "of capacity", "refused", "refusal p99 ms", "served p99 ms")
    shown = Table(*columns, title=title)
    for section in SECTIONS.keys() & figures.keys():
        found = figures[section]
        for name in [f"{factor:g}" for factor in FACTORS] if section != "storm" else [""]:
            row = found[name] if name else found
            shown.add_row(
                section,
                f"{name} ×" if name else "closed",
                f"{row['goodput_per_second']:.0f}",
                f"{row['of_capacity']:.2f}",
                f"{row['refused']:.0f}",
                f"{row['refusal_p99_ms']:.0f}",
                f"{row['served_p99_ms']:.0f}",
            )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", choices=SECTIONS, action="append", help="run this section; may be repeated; default: all"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it runs, not to measure")
    parser.add_argument("--folder", type=Path, help="where databases are kept; default: a temporary folder")
    parser.add_argument("--before", type=Path, help="JSON file of an earlier run, shown and kept beside this one")
    parser.add_argument(
        "--out", type=Path, help="JSON file; default benchmarks/results/overload.json for a complete run, else none"
    )
    options = parser.parse_args()
    plan, names = QUICK if options.quick else Plan(), options.only or list(SECTIONS)
    kept = options.out is not None or (options.only is None and not options.quick)
    out = destination("overload", options.out) if kept else None
    before = json.loads(options.before.read_text(encoding="utf-8")) if options.before else {}
    with tempfile.TemporaryDirectory(prefix="relate-bench-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = measure(names, plan, folder.resolve())
    console = Console(width=120)
    if before:
        console.print(table(before, "Overload, before"))
    console.print(table(figures, "Overload"))
    reached = list(goals(figures))
    for goal in reached:
        console.print(f"{goal.what}: {goal.figure:.3g} ({goal.rule} {goal.bound:g}) {'met' if goal.met else 'missed'}")
    if out is not None:
        earlier = {"before": before} if before else {}
        print(record("overload", {"plan": asdict(plan), **figures, **earlier}, PACKAGES, out))
    sys.exit(not all(goal.met for goal in reached))


if __name__ == "__main__":
    main()
