"""Files that jobs read and make, by paths below the data directory; and the digest that says whether they changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from app.core.problems import Problem
from trainer.durable import sha256

JOBS, POLICIES, REWARD_MODELS, BACKUPS = "jobs", "artifacts/policies", "artifacts/reward-models", "backups"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file or a folder that a job read or made."""

    name: str  # what it is to the job: snapshot, reward_model, held_out_reward_model, policy, evaluation, backup
    path: str  # below the data directory
    digest: str  # SHA-256 of its content

    def to_json(self) -> dict[str, str]:
        return asdict(self)

    @staticmethod
    def of_json(values: dict[str, Any]) -> Artifact:
        return Artifact(values["name"], values["path"], values["digest"])


def inside(data_dir: Path, path: str, field: str) -> Path:
    """The place of a path below the data directory; Problem where it leads out of it or where nothing is."""
    root = data_dir.resolve()
    place = (root / path).resolve()
    if not place.is_relative_to(root) or place == root:
        raise Problem(
            422, "outside_data_dir", f"{field} {path!r} leads out of the data directory: name a path below it",
            field=field, value=path,
        )  # fmt: skip
    if not place.exists():
        raise Problem(
            422, f"unknown_{field}", f"there is no {field.replace('_', ' ')} {path!r} in the data directory: "
            "`relate jobs show` names what a job made",
            field=field, value=path,
        )  # fmt: skip
    return place


def measured(data_dir: Path, name: str, path: Path) -> Artifact:
    """An artifact as it is now. Reads all of it: call it in a thread."""
    return Artifact(name, str(path.resolve().relative_to(data_dir.resolve())), digest_of(path))


def unchanged(data_dir: Path, artifact: Artifact) -> Path:
    """The place of an artifact that is as it was when it was recorded; Problem otherwise."""
    place = inside(data_dir, artifact.path, artifact.name)
    if (found := digest_of(place)) != artifact.digest:
        raise Problem(
            409, "artifact_changed", f"{artifact.path} is not as it was recorded: SHA-256 {found[:12]}…, not "
            f"{artifact.digest[:12]}…; make it again, or name another {artifact.name.replace('_', ' ')}",
            field=artifact.name, value=artifact.path,
        )  # fmt: skip
    return place


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of the names and digests of all files of a folder."""
    if path.is_file():
        return sha256(path)
    found = sorted((str(file.relative_to(path)), sha256(file)) for file in path.rglob("*") if file.is_file())
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def config_file(data_dir: Path, name: str | None) -> Path | None:
    """The file of a named configuration: the deployment's own before the packaged one; Problem where there is none."""
    if name is None:
        return None
    for folder in (data_dir / "configs", Path(str(files("trainer"))) / "configs"):
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    raise Problem(
        422, "unknown_config", f"there is no configuration {name!r}: put {name}.yaml into {data_dir / 'configs'}, or "
        "use one that ships, such as grpo_cpu",
        field="config", value=name,
    )  # fmt: skip


def policy_source(data_dir: Path, policy: str, champion: str | None) -> Path | None:
    """The folder of a policy's weights; None for the packaged model as it comes.

    champion: what the champion's server calls it. Policies that were trained here are kept under that name.
    """
    if policy == "base":
        return None
    if policy != "champion":
        return inside(data_dir, policy, "policy")
    for kept in (f"{POLICIES}/{champion}", f"models/{champion}"):
        if champion and (data_dir / kept).is_dir():
            return inside(data_dir, kept, "policy")
    raise Problem(
        422, "unknown_policy", f"the champion's weights ({champion or 'it has none'}) are not in the data directory: "
        "name a folder of artifacts/policies, or base",
        field="policy", value=policy,
    )  # fmt: skip
