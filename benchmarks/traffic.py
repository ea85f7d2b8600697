"""Which part gives way first under a given traffic: the recorded measurements of one small machine, set against it.

    python -m benchmarks.traffic [--requests 100000] [--events 1e9] [--peak 3] [--use 0.6] [--hits 0.99]

Nothing is measured here: benchmarks/results holds what `serving`, `events`, `overload`, `report` and `partitions`
measured. `docs/scaling.md` explains the table.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from math import ceil
from typing import Any

from benchmarks.record import RESULTS

DAY_S = 86_400
RETENTION_DAYS = 400  # events are kept so long
CONNECTIONS = 22  # to PostgreSQL, of each process of the service
SERVING_DAYS = 90


@dataclass(frozen=True)
class Traffic:
    requests: float = 1e5  # per second
    events: float = 1e9  # per day
    peak: float = 3.0  # the busiest second of events, in times of the mean
    use: float = 0.6  # share of the measured capacity to plan with; the rest is for peaks and failures
    hits: float = 0.99  # share of the requests that the pool answers


@dataclass(frozen=True)
class Part:
    """A part that one machine has once, and how often the traffic needs it."""

    name: str
    needed: float  # per second
    measured: float  # per second
    source: str

    @property
    def times(self) -> float:
        """How often what was measured is needed: the part with the most gives way first."""
        return self.needed / self.measured


def results(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return found


def parts(traffic: Traffic) -> list[Part]:
    """Every part that carries traffic, the one that gives way first at the head."""
    serving, events = results("serving"), results("events")
    hits = serving["hits"]["n1"]["ours_median"]
    written = serving["hits"]["n4"]["ours_median"] * 4  # rows that left with the answers of four texts
    mean = traffic.events / DAY_S
    return sorted(
        (
            Part("vLLM: misses, SmolLM2 on 2 cores", traffic.requests * (1 - traffic.hits),
                 serving["misses"]["ours_median"], "serving"),
            Part("service: pool hits of one process", traffic.requests, hits, "serving"),
            Part("serving log: rows into one PostgreSQL", traffic.requests, written, "serving"),
            Part("events: rows stored, at the peak", mean * traffic.peak, events["rows"]["ours"], "events"),
            Part("events: rows folded, on the mean", mean, events["rows"]["folded"], "events"),
        ),
        key=lambda part: -part.times,
    )  # fmt: skip


def sizes(traffic: Traffic) -> dict[str, float]:
    """Numbers that follow from the traffic."""
    processes = ceil(parts_named(traffic, "service").times / traffic.use)
    bytes_per_event = results("partitions")["bytes_per_event"]
    return {
        "processes of the service": processes,
        "connections to PostgreSQL": processes * CONNECTIONS,
        "events kept, billions": traffic.events * RETENTION_DAYS / 1e9,
        "events kept, TB": traffic.events * RETENTION_DAYS * bytes_per_event / 1e12,
        "rows of the serving log a day, billions": traffic.requests * DAY_S / 1e9,
        "rows of the serving log kept, billions": traffic.requests * DAY_S * SERVING_DAYS / 1e9,
        "hours to fold a day of events again": traffic.events / (1e7 / results("report")["rebuild_s"]) / 3600,
    }


def parts_named(traffic: Traffic, start: str) -> Part:
    return next(part for part in parts(traffic) if part.name.startswith(start))


def table(traffic: Traffic) -> list[str]:
    """The lines of the table in `docs/scaling.md`."""
    lines = ["| part | needed per second | measured per second | times | from |", "| --- | --- | --- | --- | --- |"]
    for part in parts(traffic):
        measured = f"{part.measured:,.{0 if part.measured > 10 else 2}f}"
        figures = f"{part.needed:,.0f} | {measured} | **{part.times:,.1f}**"
        lines.append(f"| {part.name} | {figures} | `{part.source}` |")
    lines += ["", "| follows | value |", "| --- | --- |"]
    return lines + [f"| {name} | {value:,.0f} |" for name, value in sizes(traffic).items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in vars(Traffic()).items():
        parser.add_argument(f"--{name}", type=float, default=default)
    print("\n".join(table(Traffic(**vars(parser.parse_args())))))


if __name__ == "__main__":
    main()
