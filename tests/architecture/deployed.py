"""What docker/ and deploy/kubernetes/ would run: their files, read as Docker and Kubernetes read them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text("utf-8")
KUBERNETES = ROOT / "deploy/kubernetes"
PASSWORDS = {"RELATE_POSTGRES_PASSWORD": "password1", "RELATE_GRAFANA_PASSWORD": "password2"}
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")

Command = tuple[str, list[str]]  # where it stands, and its words


def env_file(profile: str) -> dict[str, str]:
    lines = (ROOT / f"docker/{profile}.env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def compose(profile: str) -> dict[str, Any]:
    """The services of compose.yaml that run in a profile, with its variables."""
    values = env_file(profile) | PASSWORDS

    def value(match: re.Match[str]) -> str:
        name, operator, default = match.groups()
        if operator == ":?" and not values.get(name):
            raise KeyError(f"{name} is required")
        return values.get(name) or (default if operator == ":-" else "")

    document = yaml.safe_load(_VARIABLE.sub(value, (ROOT / "docker/compose.yaml").read_text("utf-8")))
    services: dict[str, Any] = document["services"]
    return {name: service for name, service in services.items() if profile in service.get("profiles", [profile])}


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every Kubernetes object, by its file."""
    for path in sorted(KUBERNETES.glob("*.yaml")):
        if path.name not in ("kustomization.yaml", "vllm-values.yaml"):
            yield from ((path.name, document) for document in yaml.safe_load_all(path.read_text("utf-8")))


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, document in manifests():
        yield from ((name, container) for container in _containers(document))


def _containers(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield from node.get("containers", [])
        for child in node.values():
            yield from _containers(child)
    elif isinstance(node, list):
        for child in node:
            yield from _containers(child)


def commands() -> list[Command]:
    """Every command of the images, of both compose profiles and of the manifests."""
    found = [("Dockerfile", json.loads(words)) for words in re.findall(r"CMD (\[.*\])", DOCKERFILE)]
    for profile in ("cpu", "gpu"):
        for name, service in compose(profile).items():
            test = service.get("healthcheck", {}).get("test", ["CMD"])[1:]
            for words in (service.get("command"), test):
                found += [(f"compose {name}", words)] if words else []
    for file, container in containers():
        probes = (
            container.get(f"{kind}Probe", {}).get("exec", {}).get("command") for kind in ("liveness", "readiness")
        )
        found += [(file, words) for words in (container.get("command"), *probes) if words]
    found += [(file, shlex.split(job["spec"]["entrypoint"])) for file, job in manifests() if job["kind"] == "RayJob"]
    return [command for place, words in found for command in _simple(place, words)]


def scripts() -> list[str]:
    """The scripts that a shell runs."""
    return [service["command"][2] for service in compose("cpu").values() if service.get("command", [""])[0] == "sh"]


def _simple(place: str, words: list[str]) -> Iterator[Command]:
    """A command, or those that a script of `sh -c` consists of."""
    if words[:2] != ["sh", "-c"]:
        yield place, words
        return
    for part in re.split(r"&&|\|\||;", words[2]):
        simple = shlex.split(re.sub(r">\s*\S+|[{}]", "", part))
        if simple:
            yield place, simple
