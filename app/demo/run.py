"""`relate demo` on a terminal: a fresh platform, its texts written ahead, the days played, the report printed."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from abtest.document import Report
from app.core.settings import Settings
from app.demo.clock import BEGINS
from app.demo.learn import learn
from app.demo.play import AFTER_DAYS, EXPERIMENT, WINDOW_HOURS, Plan, Play, Tally
from app.up import model as packaged
from app.up.child import Child, UpError
from app.up.run import introduce, stopped_in_the_end, watch
from app.up.stack import Stack

WRITTEN_AHEAD_S = 1800.0
TIMEOUT_S = 60.0


class DemoStack(Stack):
    """The whole service, whose API has the clock of the demonstration."""

    def __init__(self, settings: Settings, begins: datetime, *, model: bool = True, worker: bool = False) -> None:
        super().__init__(settings, model=model, worker=worker)
        self._begins = begins

    def _make_api(self) -> Child:
        return Child(
            name="the API",
            command=[sys.executable, "-m", "app.demo.clock"],
            log=self.settings.data_dir / "logs" / "api.log",
            environment=self.environment() | {BEGINS: self._begins.isoformat()},
            ready=lambda: packaged.answers(f"{self.url}/healthz"),
        )


def first_day(plan: Plan) -> datetime:
    """Midnight of the first day: so far back that everything is mature at present."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=plan.days + AFTER_DAYS)


def run(settings: Settings, briefs: list[Mapping[str, Any]], plan: Plan, *, learning: bool, once: bool) -> None:
    """Start, write ahead, play, report, learn where wanted; then supervise until stopped, or stop at once."""
    console = Console()
    stack = DemoStack(settings, first_day(plan), worker=learning)
    with stopped_in_the_end(stack, console):
        with _progress(console) as progress:
            task = progress.add_task("starting", total=None)

            def report(step: str) -> None:
                progress.update(task, description=step)
                if not console.is_terminal:
                    console.print(step)

            stack.start(report)
            progress.update(task, description="started", total=1, completed=1)
            play = play_out(stack, briefs, plan, progress)
        outcome = Report.model_validate(_call(stack, "report", "GET", f"/experiments/{EXPERIMENT}/report"))
        tell(console, stack, play, outcome)
        if learning:
            with _progress(console) as progress:
                ending = learn(partial(_call, stack), progress)
            console.print(ending, style="bold")
        if not once:
            introduce(console, stack)
            watch(stack, console)


def play_out(stack: Stack, briefs: list[Mapping[str, Any]], plan: Plan, progress: Progress) -> Play:
    """Begin the experiment, write its texts ahead, play all days, and bring the clock to the present."""
    if _call(stack, "report", "GET", "/experiments")["experiments"]:
        data = stack.settings.data_dir
        raise UpError(
            f"{data} holds experiments already, and a demonstration begins on a fresh platform: start this one with "
            f"`relate up --data-dir {data}`, or name an empty directory with --data-dir"
        )
    arms = [{"name": "templates", "policy": _templates(stack)}, {"name": "policy", "policy": "champion"}]
    wanted = {"name": EXPERIMENT, "arms": arms, "window_hours": WINDOW_HOURS, "planned_units": plan.people}
    _call(stack, "ops", "POST", "/experiments", wanted)
    _call(stack, "ops", "POST", f"/experiments/{EXPERIMENT}/start")
    if stack.settings.policy_url:  # a policy's own server, or vLLM of this stack
        _write_ahead(stack, briefs, progress)
    task = _step(progress, f"{plan.people:,} people use it for {plan.days} days", 1.0)
    played = asyncio.run(_played(stack, briefs, plan, lambda share: progress.update(task, completed=share)))
    _call(stack, "admin", "POST", "/demo/clock", {"at": None})
    return played


async def _played(stack: Stack, briefs: list[Mapping[str, Any]], plan: Plan, told: Callable[[float], None]) -> Play:
    admin = {"Authorization": f"Bearer {stack.keys['admin']}"}
    async with httpx.AsyncClient(base_url=stack.url, timeout=TIMEOUT_S, trust_env=False) as http:

        async def move(at: datetime) -> None:
            (await http.post("/demo/clock", json={"at": at.isoformat()}, headers=admin)).raise_for_status()

        play = Play(http, stack.keys, plan, move)
        await play.run(briefs, first_day(plan), told)
    return play


def _write_ahead(stack: Stack, briefs: list[Mapping[str, Any]], progress: Progress) -> None:
    """Fill the pool, so that people meet the policy's texts from the first day."""
    body = {"briefs": [{"brief": brief, "platform": "google_rsa"} for brief in briefs]}
    started = _call(stack, "generate", "POST", "/pool/prefill", body)
    task = _step(progress, f"writing texts for {len(briefs)} advertisers", started["items"])
    until = time.monotonic() + WRITTEN_AHEAD_S
    while time.monotonic() < until:
        now = _call(stack, "generate", "GET", f"/pool/prefill/{started['id']}")
        progress.update(task, completed=now["done"] + now["failed"])
        if now["done"] + now["failed"] == now["total"]:
            return
        time.sleep(1)
    raise UpError(f"the texts were not written within {WRITTEN_AHEAD_S / 60:.0f} minutes: see logs/api.log")


def _templates(stack: Stack) -> str:
    """The version of the templates (NLG)."""
    policies = _call(stack, "report", "GET", "/policies")["policies"]
    return str(next(policy["version"] for policy in policies if policy["kind"] == "nlg"))


def tell(console: Console, stack: Stack, play: Play, report: Report) -> None:
    """Print what people did, what the report says, and what is true of them."""
    control, treatment = play.tallies["templates"], play.tallies["policy"]
    console.print(report.headline, style="bold", markup=False)
    console.print(report.decision, markup=False)
    for name, tally in (("templates", control), ("policy", treatment)):
        own = tally.sources["pool"] + tally.sources["fresh"]
        console.print(
            f"  {name}: {tally.impressions:,} impressions, {tally.clicks:,} clicks, {tally.orders:,} orders; "
            f"{own / max(1, tally.impressions):.0%} of the texts by the arm's own policy, else: {_reasons(tally)}"
        )
    truth = (treatment.expected / treatment.impressions) / (control.expected / control.impressions) - 1
    console.print(
        f"These people are made up: by their own rules the policy's texts change CTCVR by {truth:+.1%}. The report "
        "does not know that; its interval should hold it, 95 times in 100.\n"
        f"The report: [link={stack.url}]{stack.url}/pages/experiments/{EXPERIMENT}[/]",
        soft_wrap=True,
    )


def _reasons(tally: Tally) -> str:
    """Why the others were not: the reasons of `POST /generate` with their counts."""
    found = [f"{reason} {count:,}" for reason, count in tally.reasons.most_common() if reason != "none"]
    return ", ".join(found) or "none"


def _call(stack: Stack, scope: str, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {stack.keys[scope]}"}
    answer = httpx.request(method, stack.url + path, json=body, headers=headers, timeout=TIMEOUT_S, trust_env=False)
    if not answer.is_success:
        raise UpError(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
    return answer.json()


def _step(progress: Progress, name: str, total: float) -> TaskID:
    """A bar on a terminal, else a line."""
    if not progress.console.is_terminal and not progress.disable:
        progress.console.print(name)
    return progress.add_task(name, total=total)


def _progress(console: Console) -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console)
