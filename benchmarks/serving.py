"""What serving costs and what it survives, against the bare framework, against the raw model server, and with the model
server away.

    python -m benchmarks.serving                              # everything: about ten minutes and, for the miss path, a
        model server
    python -m benchmarks.serving --quick --only hits          # a glance at one section; writes nothing unless --out is
        given
    python -m benchmarks.serving --folder DIR                 # keep databases and the prepared model between runs

hits     closed loop, pool hits: requests/s of the service over those of a bare FastAPI route with the same models,
    interleaved pairs
misses   closed loop, pool off, distinct keys: completions/s of the service over those of its vLLM server asked
    directly, alternating
outages  open loop, one request in ten a miss, at half of this mix's own peak, vLLM refusing and vLLM hanging: answers
    in time, with a text
flights  a thousand callers miss one key at once: upstream calls and answers, also when the first caller hangs up
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from adtext.brief import AdBrief
from adtext.spec import load_spec
from app.policies.vllm_http import request_body
from app.up.stack import Stack
from benchmarks.lab import Lab, asked, closed_port, drained, scalar
from benchmarks.load import Load, build, post
from benchmarks.record import record
from benchmarks.serving_goals import Figures, goals
from benchmarks.workload import PLATFORM, Workload, champion
from trainer.registry import PolicyVersion

Say = Callable[[str], None]
PACKAGES = (
    "fastapi",
    "starlette",
    "pydantic",
    "uvicorn",
    "uvloop",
    "httptools",
    "psycopg",
    "sqlalchemy",
    "cryptography",
)
CONNECTIONS = 32
OPEN_CONNECTIONS = 512  # more than can be waiting at once: no request waits for a connection
DEADLINE_MS = 100  # outages
# requests/s that no run on one process comes near: as many are written for a closed loop that may ask for each only
# once
FASTEST = 5_000
SAMPLES = 4  # completions of one upstream call
FAR = 31_000_000  # briefs of the raw server begin here: the same bases, never the same prompt


@dataclass(frozen=True)
class Plan:
    """How much is run."""

    keys: int = 10_000
    units: int = 100_000
    pairs: int = 7
    seconds: float = 5.0  # duration of one closed loop
    open_seconds: float = 60.0
    open_requests: int = 50_000
    misses: int = 32  # requests of one closed loop on the miss path
    concurrency: int = 16  # on the miss path
    callers: int = 1_000


QUICK = Plan(
    keys=500, units=5_000, pairs=2, seconds=1.0, open_seconds=5.0, open_requests=1_000, misses=8, concurrency=4
)


def hits(lab: Lab, plan: Plan, say: Say) -> Figures:
    """Requests/s of pool hits over the bare route's; every served text's row must reach the database."""
    figures: Figures = {}
    with pool(lab, plan, closed_port(), say) as stack, lab.bare() as bare:
        texts, since = 0, scalar(stack, "SELECT now()")
        for n in (1, 4):
            say(f"hits: writing {plan.units} requests, n = {n}")
            file = hit_requests(lab, plan, stack, n)
            pairs = []
            for number in range(plan.pairs):
                say(f"hits: n = {n}, pair {number + 1} of {plan.pairs}")
                ours, theirs = _peak(lab, file, _port(stack), plan), _peak(lab, file, bare, plan)
                texts += n * ours.with_text
                pairs.append(
                    {"ours": ours.per_second, "bare": theirs.per_second, "ratio": ours.per_second / theirs.per_second}
                )
            figures[f"n{n}"] = {**_medians(pairs), "latency_ms": asdict(ours.latency_ms), "pairs": pairs}
        say("hits: waiting for the serving log")
        rows, seconds = drained(stack, since, texts)
    return figures | {"texts": texts, "rows": rows, "drained_after_s": seconds}


def misses(lab: Lab, plan: Plan, say: Say) -> Figures:
    """Completions/s through the service over those of its own vLLM server, same bodies, same concurrency."""
    say("misses: starting vLLM")
    with lab.service(
        "model", pool=False, policy_timeout_s=300, policy_concurrency=plan.concurrency, pool_write_n=SAMPLES
    ) as stack:
        policy, vllm = asyncio.run(champion(stack.settings)), int(stack.settings.policy_url.rpartition(":")[2])
        key, pairs = stack.keys["generate"], []
        for number in range(plan.pairs + 1):
            say(f"misses: alternation {number} of {plan.pairs}" if number else "misses: warming up")
            briefs = range(number * plan.misses, (number + 1) * plan.misses)
            file = lab.requests(
                "ours",
                (lab.workload.request(number, number, n=SAMPLES, deadline_ms=60_000, key=key) for number in briefs),
            )
            before = _candidates(stack)
            ours = _burst(lab, file, _port(stack), plan)
            written = _candidates(stack) - before
            file = lab.requests("raw", (raw_request(lab.workload, policy, FAR + number) for number in briefs))
            raw = _burst(lab, file, vllm, plan)
            rates = written / ours.elapsed_s, SAMPLES * raw.answered / raw.elapsed_s
            pairs.append({"ours": rates[0], "raw": rates[1], "ratio": rates[0] / rates[1], "completions": written})
        pairs = pairs[1:]
    return {**_medians(pairs), "samples": SAMPLES, "concurrency": plan.concurrency, "pairs": pairs}


def outages(lab: Lab, plan: Plan, say: Say) -> Figures:
    """An open loop at half of peak, by the generator's clock, while the policy server is away in two ways."""
    figures: Figures = {}
    with lab.upstream(float("inf")) as hanging:
        for offset, (name, policy_url) in enumerate((("refusing", closed_port()), ("hanging", hanging)), start=1):
            with pool(lab, plan, policy_url, say) as stack:
                say(f"outages: {name}, measuring the peak")
                never_asked = count(offset * 100_000_000, 10_000_000)
                peak = median(_mixed_peak(lab, plan, stack, next(never_asked)) for _ in range(3))
                seconds = max(plan.open_seconds, plan.open_requests / (peak / 2))
                file = mixed_requests(lab, plan, stack, int(peak / 2 * seconds) + 1, first_miss=next(never_asked))
                say(f"outages: {name}, {seconds:.0f} s at {peak / 2:.0f} a second")
                load = lab.generator.opened(
                    file,
                    port=_port(stack),
                    connections=OPEN_CONNECTIONS,
                    rate=peak / 2,
                    seconds=seconds,
                    limit_ms=DEADLINE_MS,
                )
            shares = {"in_time_share": load.in_time_share, "text_share": load.text_share}
            figures[name] = {"peak_per_second": peak, **shares, **asdict(load)}
    return figures


def flights(lab: Lab, plan: Plan, say: Say) -> Figures:
    """Callers that miss one key at once, against an upstream that counts its calls."""
    figures: Figures = {}
    with lab.upstream(0.5) as upstream, lab.service("flights", policy_url=upstream) as stack:
        for number, first_hangs_up in enumerate((False, True)):
            say(f"flights: {plan.callers} callers{', the first hangs up' if first_hangs_up else ''}")
            requests = [
                lab.workload.request(number, unit, n=1, deadline_ms=60_000, key=stack.keys["generate"])
                for unit in range(plan.callers)
            ]
            file, before = lab.requests("flight", requests), asked(upstream)
            if first_hangs_up:
                with socket.create_connection(("127.0.0.1", _port(stack))) as first:
                    first.sendall(requests[0])
            load = lab.generator.closed(
                file, port=_port(stack), connections=plan.callers, count=plan.callers, limit_ms=60_000
            )
            name = "first_hangs_up" if first_hangs_up else "all_stay"
            figures[name] = {"upstream_calls": asked(upstream) - before, **asdict(load)}
    return figures


@contextmanager
def pool(lab: Lab, plan: Plan, policy_url: str, say: Say) -> Iterator[Stack]:
    """The service with a full pool, warm: every key asked for once."""
    with lab.service(f"pool-{plan.keys}", policy_url=policy_url) as stack:
        if not scalar(stack, "SELECT count(*) FROM texts"):
            say(f"filling the pool: {plan.keys} keys")
            asyncio.run(lab.workload.fill(stack.settings, range(plan.keys)))
        say("warming the pool")
        file = hit_requests(lab, plan, stack, 1, units=plan.keys)
        _every(lab.generator.closed(file, port=_port(stack), connections=8, count=plan.keys), "with_text")
        yield stack


def hit_requests(
    lab: Lab, plan: Plan, stack: Stack, n: int, *, units: int | None = None, deadline_ms: int = 2_000
) -> Path:
    """One request a unit, keys in turn."""
    requests = (
        lab.workload.request(unit % plan.keys, unit, n=n, deadline_ms=deadline_ms, key=stack.keys["generate"])
        for unit in range(units or plan.units)
    )
    return lab.requests(f"hits-{n}", requests)


def _mixed_peak(lab: Lab, plan: Plan, stack: Stack, first_miss: int) -> float:
    """Requests/s of the mix in a closed loop, with callers enough that those who wait for the model hold nobody up."""
    file = mixed_requests(lab, plan, stack, int(plan.seconds * FASTEST), first_miss=first_miss)
    load = lab.generator.closed(file, port=_port(stack), connections=4 * CONNECTIONS, seconds=plan.seconds)
    _every(load, "answered")
    return load.per_second


def mixed_requests(lab: Lab, plan: Plan, stack: Stack, count: int, *, first_miss: int) -> Path:
    """One in ten for a key that was never asked for before; the rest are in the pool."""

    def number(position: int) -> int:
        return position % plan.keys if position % 10 else first_miss + position

    requests = (
        lab.workload.request(
            number(position), position % plan.units, n=1, deadline_ms=DEADLINE_MS, key=stack.keys["generate"]
        )
        for position in range(count)
    )
    return lab.requests("mixed", requests)


def raw_request(workload: Workload, policy: PolicyVersion, number: int) -> bytes:
    """What the service would send to vLLM for this brief."""
    brief = AdBrief.model_validate(workload.brief(number))
    body = request_body(policy, brief, load_spec(PLATFORM), n=SAMPLES, seed=number)
    return post("/v1/chat/completions", json.dumps(body, ensure_ascii=False).encode())


def _peak(lab: Lab, file: Path, port: int, plan: Plan) -> Load:
    load = lab.generator.closed(file, port=port, connections=CONNECTIONS, seconds=plan.seconds)
    _every(load, "with_text")
    return load


def _burst(lab: Lab, file: Path, port: int, plan: Plan) -> Load:
    load = lab.generator.closed(
        file, port=port, connections=plan.concurrency, count=plan.misses, limit_ms=60_000, drain_s=300
    )
    _every(load, "answered")
    return load


def _candidates(stack: Stack) -> int:
    return int(scalar(stack, "SELECT coalesce(sum(candidates), 0) FROM candidate_counts"))


def _port(stack: Stack) -> int:
    return stack.settings.port


def _every(load: Load, what: str) -> None:
    """A rate means nothing when some of the answers were refusals."""
    if (found := getattr(load, what)) != load.scheduled or load.statuses.keys() != {"200"}:
        raise SystemExit(
            f"{found} of {load.scheduled} requests were {what}; statuses {dict(load.statuses)}, errors {load.errors}: "
            "no measurement"
        )


def _medians(pairs: list[dict[str, float]]) -> dict[str, float]:
    return {f"{name}_median": median(pair[name] for pair in pairs) for name in pairs[0]}


SECTIONS: dict[str, Callable[[Lab, Plan, Say], Figures]] = {
    "hits": hits,
    "outages": outages,
    "flights": flights,
    "misses": misses,
}


def measure(names: list[str], plan: Plan, folder: Path) -> Figures:
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=Console(stderr=True)
    ) as progress:
        task = progress.add_task("building the load generator", total=None)
        lab = Lab(folder, build(folder), Workload())
        return {name: SECTIONS[name](lab, plan, lambda step: progress.update(task, description=step)) for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", choices=SECTIONS, action="append", help="run this section; may be repeated; default: all"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it runs, not to measure")
    parser.add_argument(
        "--folder", type=Path, help="where databases and the prepared model are kept; default: a temporary folder"
    )
    parser.add_argument(
        "--out", type=Path, help="JSON file; default benchmarks/results/serving.json for a complete run, else none"
    )
    options = parser.parse_args()
    plan, names = QUICK if options.quick else Plan(), options.only or list(SECTIONS)
    with tempfile.TemporaryDirectory(prefix="relate-bench-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = measure(names, plan, folder.resolve())
    table = Table("what", "measured", "goal", "", title="Serving")
    reached = list(goals(figures))
    for goal in reached:
        table.add_row(goal.what, f"{goal.figure:.4g}", f"{goal.rule} {goal.bound:g}", "met" if goal.met else "missed")
    Console(width=120).print(table)
    if options.out or (options.only is None and not options.quick):
        print(record("serving", {"plan": asdict(plan), **figures}, PACKAGES, options.out))
    sys.exit(not all(goal.met for goal in reached))


if __name__ == "__main__":
    main()
