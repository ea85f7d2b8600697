"""What is installed, packaged and built is what was written down: hashes of files, digests of images, no secrets."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.lock")), ids=lambda path: path.name)
def test_every_pin_of_a_lock_has_the_hash_of_its_file(lock: Path) -> None:
    pins = [line for line in lock.read_text().replace("\\\n", " ").splitlines() if not line.startswith("#")]
    assert pins
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.+!-]+( +--hash=sha256:[0-9a-f]{64})+", pin)] == []


def test_what_is_installed_by_lock_is_installed_by_hash() -> None:
    for path in (ROOT / "Makefile", DOCKER / "Dockerfile", DOCKER / "all-in-one.Dockerfile"):
        installs = [line for line in path.read_text().splitlines() if "pip install" in line and "-r " in line]
        assert installs
        assert all("--no-deps --require-hashes" in line for line in installs), path.name


def test_the_packaged_weights_are_those_of_the_model_card() -> None:
    folder = ROOT / "trainer" / "data" / "policies"
    stated = dict(re.findall(r"`(relate-en-3/[\w.]+)` \| `([0-9a-f]{64})`", (folder / "README.md").read_text()))
    packaged = {f"relate-en-3/{path.name}": path.read_bytes() for path in (folder / "relate-en-3").iterdir()}
    assert stated == {name: hashlib.sha256(content).hexdigest() for name, content in packaged.items()}


def test_images_are_named_by_digest_and_say_whether_they_are_healthy() -> None:
    for path in DOCKER.glob("*Dockerfile"):
        text = path.read_text()
        assert re.findall(r"^FROM (.+)$", text, re.M)
        assert all(re.search(r"@sha256:[0-9a-f]{64}$", image) for image in re.findall(r"^FROM (.+)$", text, re.M))
        assert "HEALTHCHECK" in text
    compose = (DOCKER / "compose.yaml").read_text()
    images = re.findall(r"^    image: (.+)$", compose, re.M)
    assert all(re.search(r"@(sha256:[0-9a-f]{64}|\$\{RELATE_VLLM_DIGEST:\?.+\})$", image) for image in images)
    assert compose.count("healthcheck:") == len(images)


def test_the_compose_file_has_no_password_of_its_own() -> None:
    compose = (DOCKER / "compose.yaml").read_text()
    assert "RELATE_POSTGRES_PASSWORD:?" in compose
    assert "PASSWORD:-" not in compose
