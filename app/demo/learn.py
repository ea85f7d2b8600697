"""The second half of the demonstration: the chain `retrain` on what the people did, up to the gate's decision."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.progress import Progress, TaskID

from app.up.child import UpError

LEARNING_S = 3 * 3600.0
# small enough for one core; the gate's limits are those of production
CHAIN: Mapping[str, Any] = {
    "grpo": {"config": "grpo_cpu", "set": ["steps=8", "checkpoint_every=2"]},
    "evaluate": {"limit": 24, "samples": 3},
}
_UNFINISHED = ("waiting", "queued", "running")

Call = Callable[..., Any]  # (scope, method, path, body=None) -> the answer


def learn(call: Call, progress: Progress) -> str:
    """Start the chain, show each step, and say in one sentence how it ended. UpError where a step failed."""
    job = call("ops", "POST", "/jobs", {"kind": "retrain", "parameters": CHAIN})
    tasks: dict[str, TaskID] = {}
    until = time.monotonic() + LEARNING_S
    while job["state"] in _UNFINISHED:
        if time.monotonic() > until:
            raise UpError(f"the chain has not ended within {LEARNING_S / 3600:.0f} hours: relate jobs show {job['id']}")
        time.sleep(2)
        job = call("ops", "GET", f"/jobs/{job['id']}")
        for step in job["steps"]:
            _show(step, tasks, progress)
    if any(step["kind"] == "gate" and step["state"] == "rejected" for step in job["steps"]):
        return "The gate decided against the new policy, which is a good ending too: the champion stays."
    if job["state"] not in ("succeeded", "rejected"):
        failed = next(step for step in job["steps"] if step["state"] not in ("succeeded", "waiting"))
        raise UpError(
            f"the step {failed['kind']} is {failed['state']} ({failed['error']}): relate jobs logs {failed['id']}"
        )
    passed = "The gate let the new policy pass: the page Policies shows it beside the champion."
    return f"{passed} {job['error']}" if job["state"] == "rejected" else passed


def _show(step: Mapping[str, Any], tasks: dict[str, TaskID], progress: Progress) -> None:
    """One bar per step that has begun: its own progress where it counts steps, else until it ends."""
    if step["started_at"] is None:
        return
    if step["kind"] not in tasks:
        tasks[step["kind"]] = progress.add_task(step["kind"], total=None)
    ended = step["state"] not in _UNFINISHED
    total = step["total"] or (1 if ended else None)
    progress.update(tasks[step["kind"]], total=total, completed=total if ended else step["done"] or 0)
