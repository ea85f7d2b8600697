"""`relate generate` and `relate prefill`: request ads from a running service, now or in advance."""

from __future__ import annotations

import json
from pathlib import Path
from time import sleep
from typing import Annotated, Any

import typer

from app.cli.client import URL, KeyOption, Service, UrlOption
from app.cli.errors import Refusal
from app.cli.inputs import valid_requests

PlatformOption = Annotated[
    str | None, typer.Option(help="google_rsa, baidu_search or generic; default: the file's own, else google_rsa.")
]
_BATCH = 200  # briefs in one POST /pool/prefill
_FOLLOW_S = 1.0


def generate(
    briefs: Annotated[
        Path, typer.Argument(help="A brief, a /generate body, or a JSON Lines file of either; - reads standard input.")
    ],
    platform: PlatformOption = None,
    unit: Annotated[str, typer.Option(help="The user or device that sees the ad. It decides the arm.")] = "cli",
    n: Annotated[int, typer.Option(help="The number of texts wanted.", min=1, max=8)] = 1,
    deadline_ms: Annotated[int, typer.Option(help="How long to wait for a new text.", min=10, max=60_000)] = 20_000,
    experiment: Annotated[
        str | None, typer.Option(help="The name of an experiment. Default: the one that enrols the unit.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON lines.")] = False,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Request ads for one or more briefs and print them. Nothing is counted: only impressions reported to /events
    count.
    """
    from rich.console import Console

    from app.up.terminal_ad import ad_card

    service, console = Service(url, key, "generate"), Console()
    wanted, invalid = valid_requests(briefs, platform)
    for request in wanted:
        body = request | {"unit_id": unit, "n": n, "deadline_ms": deadline_ms, "experiment": experiment}
        answer = service.post("/generate", body)
        if as_json:
            print(json.dumps(answer, ensure_ascii=False))
        else:
            console.print(f"[dim]{request['brief']['query']}[/]")
            console.print(ad_card(answer))
    _refuse_invalid(invalid)


def prefill(
    briefs: Annotated[Path, typer.Argument(help="A JSON Lines file of briefs, as for `relate generate`.")],
    platform: PlatformOption = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="A policy version. Default: the champion and the policy of every arm of a running experiment."
        ),
    ] = None,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Write texts in advance, at low priority, and show the progress. Ctrl-C ends the display, not the writing."""
    service = Service(url, key, "generate")
    wanted, invalid = valid_requests(briefs, platform)
    started = [
        service.post("/pool/prefill", {"briefs": wanted[at : at + _BATCH], "policy": policy})["id"]
        for at in range(0, len(wanted), _BATCH)
    ]
    progress = _follow(service, started)
    print(
        f"{progress['done']} of {progress['total']} briefs have texts, {progress['texts']} in all; "
        f"{progress['failed']} have none"
    )
    for reason, number in _reasons(service, started).items():
        print(f"  {number} × {reason}")
    if progress["total"] and not progress["done"]:
        raise Refusal("no texts were written: check /readyz of the service")
    _refuse_invalid(invalid)


def _refuse_invalid(number: int) -> None:
    if number:
        raise Refusal(f"{number} invalid brief{'s were' if number > 1 else ' was'} left out, as reported above")


def _follow(service: Service, started: list[str]) -> dict[str, int]:
    """Show a progress bar until every brief is done or failed; returns the totals."""
    from rich.progress import Progress

    with Progress() as bar:
        task = bar.add_task("prefill", total=None)
        while True:
            each = [service.get(f"/pool/prefill/{prefill}", after=2**31) for prefill in started]
            totals = {name: sum(progress[name] for progress in each) for name in ("total", "done", "failed", "texts")}
            ended = totals["done"] + totals["failed"]
            bar.update(task, total=totals["total"], completed=ended)
            if ended == totals["total"]:
                return totals
            sleep(_FOLLOW_S)


def _reasons(service: Service, started: list[str]) -> dict[str, int]:
    """The reasons why briefs have no text, with their counts."""
    reasons: dict[str, int] = {}
    for prefill in started:
        after: int | None = -1
        while after is not None:
            page: dict[str, Any] = service.get(f"/pool/prefill/{prefill}", after=after)
            for item in page["items"]:
                if item["state"] == "failed":
                    reasons[item["reason"]] = reasons.get(item["reason"], 0) + 1
            after = page["next"]
    return reasons
