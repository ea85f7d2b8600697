"""Stands in for the commands that jobs run: the same arguments and files, in milliseconds.

Run as `python fake_commands.py FOLDER train grpo --out=…`. What FOLDER/<command>.json says is done first: `sleep`
seconds, `child` (start another process in a session of its own), `fail` (status and last words), once for each run in
`runs`. Every run is a line in FOLDER/runs.txt: command, begin, end.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def stand_in(folder: Path) -> Callable[[Sequence[str]], list[str]]:
    """What a runner starts instead of `relate`."""
    return lambda arguments: [sys.executable, __file__, str(folder), *arguments]


def runs(folder: Path) -> list[list[str]]:
    """The runs that ended: command, begin, end."""
    file = folder / "runs.txt"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def main(folder: Path, arguments: Sequence[str]) -> None:
    command = "-".join(word for word in arguments[:2] if not word.startswith("-") and "/" not in word)
    begun = time.time()
    options = dict(word[2:].split("=", 1) for word in arguments if word.startswith("--") and "=" in word)
    told = folder / f"{command}.json"
    wish = json.loads(told.read_text()) if told.exists() else {}
    print(f"{command} begins", flush=True)
    if wish.get("child"):
        sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
        other = subprocess.Popen(sleeper, start_new_session=True)
        (folder / "child.pid").write_text(str(other.pid))
    (folder / f"{command}.pid").write_text(str(os.getpid()))
    (folder / f"{command}.arguments.json").write_text(json.dumps(list(arguments)))
    out = Path(options["out"]) if "out" in options else folder
    MAKE[command](out, arguments, wish)
    if "fail" in wish:
        print(wish["fail"], file=sys.stderr)
        sys.exit(wish.get("status", 1))
    with (folder / "runs.txt").open("a") as file:
        file.write(f"{command} {begun} {time.time()}\n")


def _sleep(wish: dict[str, Any], parts: int = 1) -> None:
    time.sleep(float(wish.get("sleep", 0)) / parts)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _export(out: Path, arguments: Sequence[str], wish: dict[str, Any]) -> None:
    _sleep(wish)
    _write(out / "manifest.json", "{}")


def _reward(out: Path, arguments: Sequence[str], wish: dict[str, Any]) -> None:
    _sleep(wish)
    version = f"reward-{out.name}-1"
    _write(out / version / "manifest.json", json.dumps({"made": version}))


def _grpo(out: Path, arguments: Sequence[str], wish: dict[str, Any]) -> None:
    """Four steps, each with a checkpoint: a second run takes those that are missing."""
    curves = out / "curves.jsonl"
    out.mkdir(parents=True, exist_ok=True)
    taken = curves.read_text().count("\n") if curves.exists() else 0
    print(f"resumes at step {taken}", flush=True)
    for step in range(taken, 4):
        _sleep(wish, 4)
        with curves.open("a") as file:
            file.write(json.dumps({"step": step, "process": os.getpid(), "rewards": {"ctcvr": 0.5}, "kl": 0.0}) + "\n")
    _write(out / "policy" / "adapter_config.json", json.dumps({"steps": 4}))
    _write(out / "outcome.json", "{}")


def _policy(out: Path, arguments: Sequence[str], wish: dict[str, Any]) -> None:
    _sleep(wish)
    _write(out / "report.html", "<p>compared</p>")


def _gate(out: Path, arguments: Sequence[str], wish: dict[str, Any]) -> None:
    """A report about the two policies; they differ by the names of their folders."""
    options = dict(word[2:].split("=", 1) for word in arguments if word.startswith("--"))
    sides = {}
    for side in ("champion", "challenger"):
        name, _, folder = options[side].rpartition("=")
        digest = hashlib.sha256(Path(folder).name.encode()).hexdigest()[:16]
        sides[side] = {"name": name, "digests": {"policy": digest, "examples": "0"}}
    changes = [word.removeprefix("--set=") for word in arguments if word.startswith("--set=")]
    language = next((change[9:] for change in changes if change.startswith("language=")), "en")
    passed = wish.get("status") != 3
    estimate = {"value": 0.9, "low": 0.88, "high": 0.92}
    line = {
        "measure": "diversity", "label": "diversity", "rule": "no_worse", "margin": 0.05, "floor": 0.4,
        "required": True, "status": "pass" if passed else "fail", "reason": "0.21 under 0.40",
        "champion": estimate, "challenger": estimate, "difference": estimate,
    }  # fmt: skip
    prompts = {"split": "validation", "language": language, "advertisers": 40, "prompts": 160, "digest": "cc33"}
    report = {"decided_at": "2026-11-22T08:00:00Z", **sides, "prompts": prompts, "reward_models": {}, "config": {}}
    if wish.get("unreadable"):
        report = {}
    _write(out / "gate.json", json.dumps(report | {"lines": [line], "texts": [], "passed": passed}))


def _canary(out: Path, arguments: Sequence[str], wish: dict[str, Any]) -> None:
    print("relate-20261129-abcdef: on 1 %", flush=True)


def _webhooks(out: Path, arguments: Sequence[str], wish: dict[str, Any]) -> None:
    print("delivered: 1", flush=True)


def _backup(out: Path, arguments: Sequence[str], wish: dict[str, Any]) -> None:
    _sleep(wish)
    _write(Path(arguments[1]), "a backup")


def _retention(out: Path, arguments: Sequence[str], wish: dict[str, Any]) -> None:
    _sleep(wish)


MAKE = {
    "export": _export, "train-reward": _reward, "train-grpo": _grpo, "evaluate-policy": _policy,
    "evaluate-gate": _gate, "canary": _canary,
    "webhooks": _webhooks, "backup": _backup, "retention": _retention,
}  # fmt: skip

if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
