"""`relate up` on a terminal: progress during the start, one served ad, then supervision until it is stopped."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.core.settings import Settings
from app.up.first_ad import REQUEST, served_ad
from app.up.keys import file_of
from app.up.stack import Stack

_WATCH_S = 0.5
_STOPPERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Stopped(BaseException):
    """The user asked the service to stop. Not an Exception, so that no handler catches it."""


def run(settings: Settings, *, model: bool, once: bool) -> None:
    """Start the service, show an ad, supervise, and stop. Raises UpError when a part does not start or ends."""
    console = Console()
    stack = Stack(settings, model=model, worker=not once)
    with stopped_in_the_end(stack, console):
        with _progress(console) as progress:
            task = progress.add_task("checking the data directory")

            def report(step: str) -> None:
                progress.update(task, description=step)
                if not console.is_terminal:
                    console.print(step)

            stack.start(report)
            report("requesting a first ad")
            ad = served_ad(stack.url, stack.keys["generate"], patient=stack.vllm is not None)
        introduce(console, stack)
        console.print(ad)
        if not once:
            watch(stack, console)


@contextmanager
def stopped_in_the_end(stack: Stack, console: Console) -> Iterator[None]:
    """Stop all parts at the end, also after the first Ctrl-C, SIGTERM or SIGHUP, which ends the block quietly."""
    with _stoppable():
        try:
            yield
        except _Stopped:
            console.print("stopping")
        finally:
            _ignore_stoppers()
            stack.stop()


def watch(stack: Stack, console: Console) -> None:
    """Supervise until stopped. Raises UpError when PostgreSQL or the API ends."""
    console.print("Ctrl-C stops it; the data stays.", style="dim")
    pause = Event()
    while not pause.wait(_WATCH_S):
        stack.look_after(lambda line: console.print(line, markup=False, soft_wrap=True))


def introduce(console: Console, stack: Stack) -> None:
    """Print where the pages, the API, the data and the keys are, and a request to try."""
    settings = stack.settings
    keys_file = file_of(settings.data_dir)
    console.print(
        f"\n[bold]RELATE[/] is running.\n"
        f"  pages: [link={stack.url}]{stack.url}/[/] (sign in with the report, review, ops or admin key)\n"
        f"  API:   {stack.url}/docs",
        soft_wrap=True,
    )
    console.print(f"data, logs and keys: {settings.data_dir}", soft_wrap=True)
    if stack.new_keys:
        console.print(f"\none key per role, shown once; kept in {keys_file}:", soft_wrap=True)
        for scope, key in stack.keys.items():
            console.print(f"  {scope:<9} {key}", highlight=False, soft_wrap=True)
    else:
        console.print(f"one key per role: {keys_file}", soft_wrap=True)
    read_key = f"""sed -n 's/.*"generate": "\\([^"]*\\)".*/\\1/p' {shlex.quote(str(keys_file))}"""
    console.print("\nrequest an ad:\n")
    console.print(
        f'curl -s {stack.url}/generate -H "Authorization: Bearer $({read_key})" \\\n'
        f"  -H 'Content-Type: application/json' -d {shlex.quote(REQUEST)}\n",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    )


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into `_Stopped`."""
    before = {number: signal.signal(number, _raise_stopped) for number in _STOPPERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_stopped(number: int, frame: FrameType | None) -> None:
    _ignore_stoppers()  # stopping takes bounded time; a second Ctrl-C must not interrupt it and leave children running
    raise _Stopped


def _ignore_stoppers() -> None:
    for number in _STOPPERS:
        signal.signal(number, signal.SIG_IGN)
