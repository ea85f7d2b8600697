"""The shape of the whole: who may import whom, how light the service stays, what a wheel must carry."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("adtext", "abtest", "trainer", "app", "migrations")
HEAVY = (
    "torch",
    "transformers",
    "vllm",
    "deepspeed",
    "ray",
    "accelerate",
    "peft",
    "trl",
    "sentence_transformers",
    "pandas",
    "sklearn",
)


def test_imports_run_down_only_and_light_packages_stay_light() -> None:
    """The contracts of pyproject.toml: app, trainer, abtest, adtext in this order, and no heavy module below."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "module",
    [
        "app.main",
        "app.cli",
        "app.up.run",
        "app.jobs.worker",
        "abtest.report",
        "trainer.registry",
        "trainer.config",
        "trainer.cli",
    ],
)
def test_what_serves_loads_no_heavy_module(module: str) -> None:
    program = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_a_command_is_helped_without_loading_the_service() -> None:
    """`relate --help` stays quick because it imports none of what commands need."""
    service = {"fastapi", "sqlalchemy", "scipy", "httpx", "psycopg", "alembic"}
    program = f"import sys, app.cli; print(*sorted({service!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_a_wheel_carries_every_file_the_packages_read(tmp_path: Path) -> None:
    """Packs, specs, templates, styles and migrations are data that code opens: a checkout has them, an installation
    must too.
    """
    source = tmp_path / "source"
    tracked = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in (*tracked, "pyproject.toml", "README.md"):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        str(source),
    ]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert set(tracked) - set(zipfile.ZipFile(wheel).namelist()) == set()
