"""A training command on a Ray cluster: its inputs are sent there, its log comes back as it is written, and so does what
it made.

    python -m trainer.launch.cluster --address ray://head:10001 --name JOB --storage s3://bucket/relate -- train grpo …

The command runs in a detached actor, named after the job. A caller that dies leaves it running; the next caller of the
same name goes on reading its log. Files travel through `storage`, any address of fsspec that both sides reach.
"""

from __future__ import annotations

import argparse
import hashlib
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import fsspec

from trainer.launch.local import RankError
from trainer.launch.remote import Remote, State, copy_down

NAMESPACE = "relate"
POLL_S = 1.0
ANSWER_S = 10.0
_OUT = "--out="


class _Stopped(BaseException):
    """The caller asked the command to end. Not an Exception, so that no handler catches it."""


def run(address: str, name: str, arguments: Sequence[str], *, storage: str, gpus: int = 0) -> None:
    """Run `python -m trainer ARGUMENTS` on the cluster until it ends; its output folder is then at `--out=`.

    RankError, one line, where the cluster does not answer or the command fails. A signal to end cancels the command.
    """
    import ray

    out = next((Path(given.removeprefix(_OUT)) for given in arguments if given.startswith(_OUT)), None)
    if out is None:
        raise RankError("the command has no --out=FOLDER: nothing could be brought back from the cluster")
    _connect(ray, address)
    try:
        sent, inputs = _inputs(arguments, storage)
        resources = {"num_cpus": 1, "num_gpus": gpus}
        options = {"name": name, "namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True, **resources}
        remote = ray.remote(Remote).options(**options).remote()
        ray.get(remote.begin.remote(sent, inputs, f"{storage}/jobs/{name}"))
        _follow(ray, remote, out, f"{storage}/jobs/{name}")
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()  # Ray itself tries for minutes
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, ignore_reinit_error=True)
    except (OSError, RuntimeError, ValueError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RankError(
            f"the Ray cluster at {address} does not answer ({first}): check RELATE_RAY_ADDRESS, that this machine "
            "reaches it, and RAY_AUTH_MODE and RAY_AUTH_TOKEN where the cluster asks for a token"
        ) from error


def _follow(ray: Any, remote: Any, out: Path, place: str) -> None:
    """Copy the command's log to standard output and its curves to `out` while it runs, then fetch its output folder."""
    out.mkdir(parents=True, exist_ok=True)
    curves = out / "curves.jsonl"
    read = {"log": 0, "curves": curves.stat().st_size if curves.exists() else 0}
    try:
        while True:
            state: State = ray.get(remote.state.remote(read["log"], read["curves"]))
            sys.stdout.buffer.write(state.log)
            sys.stdout.flush()
            with curves.open("ab") as file:
                file.write(state.curves)
            read = {"log": read["log"] + len(state.log), "curves": read["curves"] + len(state.curves)}
            if state.status is not None and not state.log:
                break
            time.sleep(POLL_S)
    except _Stopped:
        ray.get(remote.end.remote())
        ray.kill(remote)
        raise
    except ray.exceptions.RayError as error:
        first = str(error).strip().splitlines()[-1]
        raise RankError(f"the cluster lost the command ({first}): start it again, it resumes where it can") from error
    if not curves.stat().st_size:
        curves.unlink()
    copy_down(f"{place}/out", out)
    ray.kill(remote)
    if state.status != 0:
        raise RankError(f"the command ended with status {state.status} on the cluster: its log is above")


def _inputs(arguments: Sequence[str], storage: str) -> tuple[list[str], Mapping[str, str]]:
    """The arguments with a placeholder for each file or folder that they name, and where each of them was put.

    What an option names is sent once under the digest of its content. The data directory and the cache are places of
    the machine, not inputs: the cluster has its own.
    """
    sent: list[str] = []
    placed: dict[str, str] = {}
    for given in arguments:
        option, equals, value = given.rpartition("=")
        path = Path(value)
        if option in ("--data-dir", "--cache"):
            continue
        if not equals or option == "--out" or not path.is_absolute() or not path.exists():
            sent.append(given)
            continue
        place = f"{storage}/inputs/{_digest(path)}/{path.name}"
        _send(path, place)
        placeholder = f"{{input {len(placed)}}}"
        placed[placeholder] = place
        sent.append(f"{option}={placeholder}")
    return sent, placed


def _send(path: Path, place: str) -> None:
    system, target = fsspec.core.url_to_fs(place)
    if system.exists(f"{target}.whole"):
        return
    system.makedirs(target.rpartition("/")[0], exist_ok=True)
    system.put(f"{path}/" if path.is_dir() else str(path), target, recursive=path.is_dir())
    system.touch(f"{target}.whole")  # last: a caller that died before left a part


def _digest(path: Path) -> str:
    """SHA-256 over the names and contents of a file, or of all files of a folder."""
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            found.update(f"{file.relative_to(path)}\0".encode())
            with file.open("rb") as content:
                found.update(hashlib.file_digest(content, "sha256").digest())
    return found.hexdigest()


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stopped


def main() -> None:
    """One command. A failure is one line on stderr and status 1; a signal to end cancels and exits with 143."""
    parser = argparse.ArgumentParser(prog="python -m trainer.launch.cluster", description=__doc__.splitlines()[0])
    parser.add_argument("--address", required=True, help="of the Ray cluster, as ray.init takes it")
    parser.add_argument("--name", required=True, help="of the job: a second start with it goes on with the first")
    parser.add_argument("--storage", required=True, help="an fsspec address that this machine and the cluster reach")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of one node that the command needs")
    parser.add_argument("command", nargs="+", help="after `--`: train …")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    try:
        run(given.address, given.name, given.command, storage=given.storage.rstrip("/"), gpus=given.gpus)
    except (RankError, OSError) as error:
        sys.exit(f"relate: {error}")
    except _Stopped:
        sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
