"""Several ranks on this machine: one process each, ended together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from threading import Event

_LOOK_S = 0.5
_GRACE_S = 5.0  # between asking a rank to end and ending it


class RankError(OSError):
    """A rank failed; the others were ended too."""


def launch(command: Sequence[str], ranks: int) -> None:
    """Run `command` once per rank, with the environment that torch.distributed reads. RankError when one fails.

    Without this a rank would wait half an hour for a dead one; here all end within seconds.
    """
    port = free_port()
    children = [
        subprocess.Popen(
            command, env=os.environ | rank_environment(rank, ranks, "127.0.0.1", port), start_new_session=True
        )
        for rank in range(ranks)
    ]
    try:
        _watch(children)
    finally:
        _end(children)


def trainer_command(arguments: Sequence[str]) -> list[str]:
    """`python -m trainer …` with this interpreter."""
    return [sys.executable, "-m", "trainer", *arguments]


def rank_environment(rank: int, ranks: int, address: str, port: int) -> Mapping[str, str]:
    """What torch.distributed, Accelerate and DeepSpeed read. Ranks of one machine."""
    return {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks),
        "MASTER_ADDR": address, "MASTER_PORT": str(port), "ACCELERATE_USE_DEEPSPEED": "true",
    }  # fmt: skip


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _watch(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until all have succeeded; RankError names the first that failed."""
    pause = Event()
    while True:
        states = [child.poll() for child in children]
        for rank, status in enumerate(states):
            if status:
                how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
                raise RankError(
                    f"rank {rank} of {len(children)} {how}: all were stopped; start again, it resumes from its last "
                    "checkpoint"
                )
        if all(status == 0 for status in states):
            return
        pause.wait(_LOOK_S)


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """End whole process groups: a rank may have children of its own."""
    for child in children:
        _signal(child, signal.SIGTERM)
    for child in children:
        try:
            child.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            _signal(child, signal.SIGKILL)
            child.wait()


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    if child.poll() is None:
        os.killpg(child.pid, number)
