"""`relate up` on a terminal: progress while it starts, one served ad, then watch over the children until told to
stop.
"""

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
    """Somebody asked the platform to stop. Not an Exception: no handler on the way may keep it."""


def run(settings: Settings, *, model: bool, once: bool) -> None:
    """Start, show, watch, stop. UpError when something does not start, or ends later."""
    console = Console()
    stack = Stack(settings, model=model, worker=not once)
    with _stoppable():
        try:
            with _progress(console) as progress:
                task = progress.add_task("looking around")

                def report(step: str) -> None:
                    progress.update(task, description=step)
                    if not console.is_terminal:
                        console.print(step)

                stack.start(report)
                report("asking for a first ad")
                ad = served_ad(stack.url, stack.keys["generate"], patient=stack.vllm is not None)
            _introduce(console, stack)
            console.print(ad)
            if not once:
                console.print("Ctrl-C stops it; the data stays.", style="dim")
                _watch(stack, console)
        except _Stopped:
            console.print("stopping")
        finally:
            _ignore_stoppers()
            stack.stop()


def _watch(stack: Stack, console: Console) -> None:
    """Until told to stop; UpError when PostgreSQL or the API ends by itself."""
    pause = Event()
    while not pause.wait(_WATCH_S):
        stack.look_after(lambda line: console.print(line, markup=False, soft_wrap=True))


def _introduce(console: Console, stack: Stack) -> None:
    settings = stack.settings
    keys_file = file_of(settings.data_dir)
    console.print(
        f"\n[bold]RELATE[/] is running.\n"
        f"  pages: [link={stack.url}]{stack.url}/[/] (sign in with the report, ops or admin key)\n"
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
    console.print("\nask for an ad:\n")
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
    """Turn the first Ctrl-C, SIGTERM or hang-up into `_Stopped`."""
    before = {number: signal.signal(number, _raise_stopped) for number in _STOPPERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_stopped(number: int, frame: FrameType | None) -> None:
    _ignore_stoppers()  # stopping is bounded; a second Ctrl-C must not cut it short and leave children behind
    raise _Stopped


def _ignore_stoppers() -> None:
    for number in _STOPPERS:
        signal.signal(number, signal.SIG_IGN)
