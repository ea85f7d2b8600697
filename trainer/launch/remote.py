"""The cluster's side of `trainer.launch.cluster`: one command in a process group of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import fsspec

GRACE_S = 8.0  # seconds that the command gets to end by itself before it is killed
_PART = 1 << 20  # bytes of log per answer


@dataclass(frozen=True, slots=True)
class State:
    """What is new since the last question. status: None while the command runs, and until what it made is stored."""

    log: bytes
    curves: bytes
    status: int | None


class Remote:
    """Runs one command. Its methods are called one after the other."""

    def __init__(self) -> None:
        self._folder = Path(mkdtemp(prefix="relate-job-"))
        self._out = self._folder / "out"
        self._process: subprocess.Popen[bytes] | None = None
        self._place = ""
        self._stored = False

    def begin(self, arguments: Sequence[str], inputs: Mapping[str, str], place: str) -> None:
        """Fetch the inputs and start `python -m trainer ARGUMENTS`, unless it was started before. What an earlier
        attempt left at `place` is fetched first, so that the command resumes from its checkpoints.
        """
        if self._process is not None:
            return
        self._place = place
        copy_down(f"{place}/out", self._out)
        found = {}
        for number, (placeholder, source) in enumerate(inputs.items()):
            target = self._folder / f"input-{number}" / source.rpartition("/")[2]
            copy_down(source, target)
            found[placeholder] = str(target)
        command = [sys.executable, "-m", "trainer"]
        for given in arguments:
            option, equals, value = given.rpartition("=")
            command.append(
                f"{option}={self._out}" if option == "--out" else f"{option}{equals}{found.get(value, value)}"
            )
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env=_environment()
            )

    def state(self, log: int, curves: int) -> State:
        """What was written behind these positions, and how the command ended."""
        assert self._process is not None
        status = self._process.poll()
        if status is not None and not self._stored:
            _copy_up(self._out, f"{self._place}/out")
            self._stored = True
        return State(_behind(self._folder / "log", log), _behind(self._out / "curves.jsonl", curves), status)

    def end(self) -> None:
        """End the command with everything that it started; its checkpoints are stored."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        _copy_up(self._out, f"{self._place}/out")


def _environment() -> dict[str, str]:
    """Ray hides the GPUs of an actor that asked for none; what it gave to this one stays as it is."""
    return {name: value for name, value in os.environ.items() if name != "RELATE_JOB"}


def _behind(file: Path, position: int) -> bytes:
    if not file.exists():
        return b""
    with file.open("rb") as content:
        content.seek(position)
        return content.read(_PART)


def copy_down(source: str, target: Path) -> None:
    """Copy a file or a folder's content from storage; nothing where nothing is stored."""
    system, place = fsspec.core.url_to_fs(source)
    if not system.exists(place):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if system.isdir(place):
        system.get(f"{place}/", f"{target}/", recursive=True)
    else:
        system.get(place, str(target))


def _copy_up(folder: Path, place: str) -> None:
    """Replace what is at `place` with a folder's content."""
    system, target = fsspec.core.url_to_fs(place)
    if not folder.exists():
        return
    if system.exists(target):
        system.rm(target, recursive=True)
    system.makedirs(target.rpartition("/")[0], exist_ok=True)
    system.put(f"{folder}/", target, recursive=True)
