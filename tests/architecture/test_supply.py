"""What is installed and packaged is what was written down: hashes of files."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.lock")), ids=lambda path: path.name)
def test_every_pin_of_a_lock_has_the_hash_of_its_file(lock: Path) -> None:
    pins = [line for line in lock.read_text().replace("\\\n", " ").splitlines() if not line.startswith("#")]
    assert pins
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.+!-]+( +--hash=sha256:[0-9a-f]{64})+", pin)] == []


def test_what_is_installed_by_lock_is_installed_by_hash() -> None:
    for path in (ROOT / "Makefile", ROOT / "docker" / "Dockerfile"):
        installs = [line for line in path.read_text().splitlines() if "pip install" in line and "-r " in line]
        assert installs
        assert all("--no-deps --require-hashes" in line for line in installs), path.name


def test_the_packaged_weights_are_those_of_the_model_card() -> None:
    folder = ROOT / "trainer" / "data" / "policies"
    stated = dict(re.findall(r"`(relate-en-5/[\w.]+)` \| `([0-9a-f]{64})`", (folder / "README.md").read_text()))
    packaged = {f"relate-en-5/{path.name}": path.read_bytes() for path in (folder / "relate-en-5").iterdir()}
    assert stated == {name: hashlib.sha256(content).hexdigest() for name, content in packaged.items()}
