"""The child process of a job: in a group of its own, of low priority, ended with everything that it started."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

MARK = "RELATE_JOB"  # in the environment of a job's processes: the job's id
NICENESS = 10
GRACE_S = 8.0  # between asking a job to end and ending it
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Child:
    """One command of a job. Start it from the main thread: on Linux it dies with the thread that started it."""

    def __init__(self, process: asyncio.subprocess.Process, job_id: str) -> None:
        self._process, self._job_id = process, job_id

    @staticmethod
    async def start(command: Sequence[str], *, log: Path, job_id: str, environment: Mapping[str, str]) -> Child:
        """Start a command whose output is added to the log."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**environment, MARK: job_id},
                start_new_session=True,
                preexec_fn=_prepare(os.getpid()),
            )
        _yield_to_others(process.pid)
        return Child(process, job_id)

    async def wait(self) -> int:
        return await self._process.wait()

    async def end(self) -> None:
        """Ask the group to end; after a grace end it. Returns when it is gone, and with it whatever the job started in
        other groups: that is ended also where the job itself has ended.
        """
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), GRACE_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await asyncio.to_thread(end_all, self._job_id)
        await self._process.wait()


def end_all(job_id: str) -> None:
    """End every process of a job on this machine, whatever group it is in: a dead worker may have left some."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == job_id and process.pid != os.getpid():
                process.kill()
                process.wait(5)


def ending(status: int) -> str:
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def last_line(log: Path) -> str:
    """The last line of a log that says something; empty without one."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            lines = file.read().decode(errors="replace").replace("\r", "\n").splitlines()
    except OSError:
        return ""
    return next((line.strip().replace("\0", "")[:300] for line in reversed(lines) if line.strip()), "")


def _yield_to_others(pid: int) -> None:
    """A new session has a new group for Linux' scheduler, whose niceness counts beside that of other sessions."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(NICENESS))


def _prepare(parent: int) -> Callable[[], None]:
    """To be called in the child between fork and exec: nothing but system calls."""

    def arrange() -> None:
        os.nice(NICENESS)
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != parent:  # it died in between: no signal will come
                os._exit(1)

    return arrange
