"""Files and folders that survive a crash: they are written to disk before they are renamed, and verified before they
are read again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

WHOLE = "whole.json"  # size and SHA-256 of every file of a folder, written last


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write a file atomically; with `private`, readable only by its owner."""

    def write(partial: Path) -> None:
        partial.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(partial, flags, 0o600 if private else 0o666), "w", encoding="utf-8") as file:
            file.write(text)

    write_file(path, write)


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file atomically with `write`."""
    partial = path.with_name(path.name + ".partial")
    write(partial)
    _sync(partial)
    partial.replace(path)
    _sync(path.parent)


def seal(folder: Path) -> None:
    """Once all files of a folder are on disk, list them with size and SHA-256 in whole.json, which `damage` reads."""
    _sync_below(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = {str(path.relative_to(folder)): [path.stat().st_size, sha256(path)] for path in files}
    write_text(folder / WHOLE, json.dumps(listed, indent=1))


def publish(partial: Path, folder: Path) -> None:
    """Rename a written folder to its final name, replacing an older one. Under that name it is complete or absent."""
    _sync_below(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    _sync(folder.parent)


def fill(folder: Path, write: Callable[[Path], None], last: str) -> None:
    """Write files into a folder. `last`, the file that makes the folder a model, is written after the others."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    write(partial)
    (folder / last).unlink(missing_ok=True)
    for path in sorted(partial.iterdir(), key=lambda path: path.name == last):
        _sync(path)
        path.replace(folder / path.name)
    partial.rmdir()
    _sync(folder)


def damage(folder: Path) -> str | None:
    """What is wrong with a sealed folder, in a few words; None where every file matches whole.json."""
    try:
        listed = json.loads((folder / WHOLE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"it holds no readable {WHOLE}: it was not written to its end"
    for name, (size, digest) in listed.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size or sha256(path) != digest:
            return f"{name} is not as it was written"
    return None


def whole_lines(file: Path) -> list[str]:
    """The complete lines of a file, without a last line that a killed process left incomplete. Empty without a file."""
    if not file.exists():
        return []
    with file.open("rb") as lines:
        return [line.decode("utf-8") for line in lines if line.endswith(b"\n")]


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_below(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        _sync(path)


def _sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
