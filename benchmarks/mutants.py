"""Mutation testing: how many small faults in a pure module do its tests notice?

mutmut writes every mutant of the modules that `mutants.toml` lists. Of each module a seeded sample runs against the
tests of its group. A mutant that no test fails on has survived; the score is the share that did not survive.

    python -m benchmarks.mutants                      # every module, 100 mutants each: about two hours on two cores
    python -m benchmarks.mutants abtest/lift.py       # some modules: their entries of the result are replaced
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.record import RESULTS, destination, record

ROOT = Path(__file__).parents[1]
PLAN = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text(encoding="utf-8"))
COPIED = ("adtext", "abtest", "trainer", "app", "tests", "migrations", "examples", "benchmarks", "docs")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "policies_*", "relate-en-*", "screenshots", "results", "images")
CONFIG = """
[tool.mutmut]
source_paths = ["adtext", "abtest", "trainer"]
only_mutate = {modules}
also_copy = ["app", "migrations", "examples", "benchmarks", "docs"]
process_isolation = "forkserver"
pytest_add_cli_args = {options}
pytest_add_cli_args_test_selection = {tests}
"""
OPTIONS = ["-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin", "--hypothesis-profile=mutants"]
OPTIONS += ["-m", "not gpu and not soak and not slow"]
PROGRESS = re.compile(r"(\d+)/\d+ .*?🙁 (\d+)")
# mutmut's own names for the exit codes of a mutant's test run
NOTICED = ("killed", "timeout", "segfault")
LISTER = """
import json, sys
from pathlib import Path
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name
names = {}
for module in sys.argv[1:]:
    mutated = mutate_file_contents(module, Path(module).read_text(encoding="utf-8"))
    names[module] = [get_mutant_name(Path(module), name) for name in mutated.mutant_names]
print(json.dumps(names))
"""
READER = """
import json, sys
from pathlib import Path
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
found = {}
for module, names in json.load(sys.stdin).items():
    data = SourceFileMutationData(path=Path(module))
    data.load()
    found[module] = {}
    for name in names:
        status = status_by_exit_code[data.exit_code_by_key[name]]
        diff = get_diff_for_mutant(name, path=module) if status not in ("killed", "timeout", "segfault") else ""
        found[module][name] = [status, diff]
print(json.dumps(found))
"""


def workspace(folder: Path, modules: Sequence[str], group: Mapping[str, Any]) -> None:
    """Copy the repository into `folder`, with a configuration that mutates these modules."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=NOT_COPIED)
    shutil.copy(ROOT / "README.md", folder)
    left_out = ["-k", f"not ({group['without']})"] if "without" in group else []
    config = CONFIG.format(
        modules=json.dumps(modules), tests=json.dumps(group["tests"]), options=json.dumps([*OPTIONS, *left_out])
    )
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8") + config, "utf-8")


def sample(names: Sequence[str], size: int, seed: int) -> list[str]:
    """At most `size` of the mutants: the same ones for the same names and seed, and all of them in a larger sample."""
    shuffled = sorted(names)
    random.Random(seed).shuffle(shuffled)
    return sorted(shuffled[:size])


def at_import(name: str) -> bool:
    """Whether the mutant's function runs while its module is imported, before a mutant is chosen."""
    return any(f".x_{function['name']}__mutmut_" in name for function in PLAN.get("at_import", ()))


def changed_lines(diff: str) -> tuple[str, str]:
    """What a diff takes away and what it puts in, without indentation."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++", "@@"))]
    before, after = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return before, after


def equivalent(module: str, diff: str) -> str | None:
    """Why this mutant cannot be told from the original, if `mutants.toml` says so."""
    before, after = changed_lines(diff)
    for entry in PLAN.get("equivalent", ()):
        if (entry["module"], entry["before"], entry["after"]) == (module, before, after):
            return str(entry["why"])
    return None


def summary(module: str, total: int, found: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A module's score, and every sampled mutant that no test noticed."""
    survivors, excused = [], []
    for name, (status, diff) in sorted(found.items()):
        if status in NOTICED:
            continue
        before, after = changed_lines(diff)
        entry = {"mutant": name, "status": status, "before": before, "after": after}
        if why := equivalent(module, diff):
            excused.append(entry | {"why": why})
        else:
            survivors.append(entry)
    counted = len(found) - len(excused)
    return {
        "mutants": total,
        "sampled": len(found),
        "equivalent": excused,
        "noticed": counted - len(survivors),
        "score": round((counted - len(survivors)) / counted, 3) if counted else 1.0,
        "survived": survivors,
    }


def run_group(modules: Sequence[str], group: Mapping[str, Any], size: int, seed: int) -> dict[str, dict[str, Any]]:
    """Mutate these modules in a copy of the repository; returns each module's summary."""
    with TemporaryDirectory(prefix="relate-mutants-") as name:
        folder = Path(name)
        workspace(folder, modules, group)
        names: dict[str, list[str]] = json.loads(python(folder, "-c", LISTER, *modules))
        names = {module: [name for name in names[module] if not at_import(name)] for module in modules}
        chosen = {module: sample(names[module], size, seed) for module in modules}
        print(f"{sum(map(len, chosen.values()))} of {sum(map(len, names.values()))} mutants in {', '.join(modules)}")
        mutmut(folder, [name for of_module in chosen.values() for name in of_module])
        found = json.loads(python(folder, "-c", READER, given=json.dumps(chosen)))
    return {module: summary(module, len(names[module]), found[module]) for module in modules}


def python(folder: Path, *arguments: str, given: str | None = None) -> str:
    """The standard output of a program that runs in `folder`, where mutmut finds its configuration."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(), input=given, text=True, stdout=subprocess.PIPE, check=True
    ).stdout


def mutmut(folder: Path, names: Sequence[str]) -> None:
    """Run these mutants, and show how many are done and how many survived."""
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *names]
    told: list[str] = []
    with subprocess.Popen(command, cwd=folder, env=environment(), text=True, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        for line in running.stdout:  # mutmut ends a line of progress with a carriage return, which text mode reads
            told = [*told[-30:], line.rstrip()]
            if (progress := PROGRESS.search(line)) and int(progress[1]) % 10 == 0:
                print(f"  {progress[1]} of {len(names)} run, {progress[2]} survived", flush=True)
    if running.returncode:
        raise SystemExit("\n".join([*told, f"mutmut ended with {running.returncode}"]))


def environment() -> dict[str, str]:
    """This process's environment, without a path to the unmutated packages, and with few plugins: pytest starts once
    per mutant.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | {"OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def groups(wanted: Iterable[str]) -> list[tuple[list[str], dict[str, Any]]]:
    """The modules to mutate, grouped by the tests that run against them."""
    wanted = set(wanted)
    if unknown := wanted - {module for group in PLAN["group"] for module in group["modules"]}:
        raise SystemExit(f"mutants.toml does not list {', '.join(sorted(unknown))}")
    chosen = (([m for m in group["modules"] if not wanted or m in wanted], group) for group in PLAN["group"])
    return [(modules, group) for modules, group in chosen if modules]


def table(modules: Mapping[str, Mapping[str, Any]]) -> str:
    """One line per module."""
    rows = [f"{'module':44} sampled  of  noticed  equivalent  score"]
    for module, entry in sorted(modules.items()):
        counts = f"{entry['sampled']:7} {entry['mutants']:4} {entry['noticed']:7} {len(entry['equivalent']):10}"
        rows.append(f"{module:44} {counts}   {entry['score']:.1%}")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="paths such as abtest/lift.py; without any: all of mutants.toml")
    parser.add_argument("--size", type=int, default=100, help="mutants sampled per module")
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--out", type=Path, help="write the result here instead of benchmarks/results/mutants.json")
    chosen = parser.parse_args()
    path = destination("mutants", chosen.out)
    before = json.loads(path.read_text(encoding="utf-8"))["modules"] if path.exists() and chosen.modules else {}
    modules: dict[str, Any] = dict(before)
    for of_group, group in groups(chosen.modules):
        modules |= run_group(of_group, group, chosen.size, chosen.seed)
        figures = {"seed": chosen.seed, "size": chosen.size, "modules": dict(sorted(modules.items()))}
        record("mutants", figures, ("mutmut", "pytest", "hypothesis"), chosen.out or RESULTS / "mutants.json")
    print(table(modules))


if __name__ == "__main__":
    main()
