"""A process that `relate up` supervises: started in its own process group, logged to a file, stopped in bounded time.

A child never outlives its parent: Linux signals it when the thread that started it ends, even by SIGKILL
(PR_SET_PDEATHSIG). So start children from the main thread, or from one that lives as long as they should.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_POLL_S = 0.1


class UpError(RuntimeError):
    """The service cannot run. The message is one line that says how to fix it."""


@dataclass
class Child:
    """A program and the test that it is ready."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    ready: Callable[[], bool]
    stop_signal: signal.Signals = signal.SIGTERM
    user: str | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the program without waiting for it. Its output is appended to the log."""
        if self.alive:
            raise RuntimeError(f"{self.name} runs already, as process {self.pid}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.environment),
                # Ctrl-C reaches only the parent, which stops its children in order
                start_new_session=True,
                user=self.user,
                # runs after the change of user, which would undo it
                preexec_fn=_die_with_parent(os.getpid(), self.stop_signal),
            )

    def wait_ready(self, timeout: float, tick: Callable[[], None] = lambda: None) -> None:
        """Wait until `ready()`. Raises UpError when the program ends or takes longer. `tick` is called about ten times
        per second.
        """
        deadline = monotonic() + timeout
        while not self.ready():
            self.check()
            if monotonic() > deadline:
                raise UpError(
                    f"{self.name} was not ready within {timeout:.0f} s: {self.last_words()} (all of it: {self.log})"
                )
            tick()
            sleep(_POLL_S)

    def check(self) -> None:
        """Raise UpError if the program has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise UpError(self.ending())

    def ending(self) -> str:
        """One line that says how the program ended."""
        status = self._process.poll() if self._process is not None else None
        how = "runs" if status is None else _ended(status)
        return f"{self.name} {how}: {self.last_words()} (all of it: {self.log})"

    def wait(self) -> None:
        """Wait until the program ends. Raises UpError unless its status is 0."""
        if self._process is not None and self._process.wait() != 0:
            self.check()

    def stop(self, grace: float = 15.0) -> None:
        """Ask the program to stop, and kill its process group after `grace` seconds. Returns when it has ended."""
        if self._process is None:
            return
        if self.alive:
            self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()  # also processes that it left in its group

    def kill(self) -> None:
        """Send SIGKILL to the process group, as in a crash."""
        if self._process is None:
            return
        self._signal_group(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """Suspend the process group: it hangs with its sockets open, until `resume`."""
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_group(signal.SIGCONT)

    def last_words(self) -> str:
        """The last line of the log that is not empty."""
        if not self.log.exists():
            return "it wrote no log"
        lines = self.log.read_bytes()[-8192:].decode(errors="replace").splitlines()
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "its log is empty")

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return  # the whole group is gone


def _ended(status: int) -> str:
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _die_with_parent(parent: int, number: signal.Signals) -> Callable[[], None] | None:
    """Called in the child between fork and exec: it makes only one system call."""
    if _libc is None:
        return None
    prctl = _libc.prctl

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # the parent has already died: no signal will come
            os._exit(1)

    return arrange
