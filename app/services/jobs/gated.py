"""The end of a gate job: its policy joins the registry with what it was made from, and the report is stored with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from adtext.brief import LOCALES
from app.core.problems import Problem
from app.core.settings import Settings
from app.services.jobs.artifacts import policy_source
from app.services.jobs.kinds import GateParameters
from app.services.jobs.plans import folder_of
from app.services.registry import versions
from app.store import jobs as store
from app.store import policies
from app.store.database import AsyncConnection
from trainer.gate_report import GateReport
from trainer.registry import Decoding, base_model

_NAME = "relate"  # the prefix of a trained policy's version
_RUNS = ("run", "policy")  # folders of a training job that may hold its run.json


@dataclass(frozen=True, slots=True)
class Training:
    """What a training job recorded about its run."""

    started_from: str  # as the job was asked: champion, base, or a path
    start_digest: str | None  # digest of the weights that training started from
    config: dict[str, Any]


async def keep_gate_report(
    connection: AsyncConnection,
    settings: Settings,
    report: GateReport,
    parameters: dict[str, Any],
    *,
    job_id: UUID,
    actor: str,
) -> Any:
    """Store the report of a gate job with its policy, which is registered first where it is new; returns the report's
    row. Problem where policy and report do not belong together.
    """  # fmt: skip
    wish = GateParameters.model_validate(parameters)
    champion = await policies.aliased(connection, "champion")
    version = await _version(connection, settings, report, wish, champion, actor)
    return await versions.store_gate_report(connection, version, report, job_id=job_id, actor=actor)


async def _version(
    connection: AsyncConnection, settings: Settings, report: GateReport, wish: GateParameters, champion: Any, actor: str
) -> str:
    """The version of the challenger: the one that has these weights at this place already, else a new one."""
    if wish.policy == "champion" and champion is not None:
        return str(champion.version)
    data = settings.data_dir.resolve()
    place = policy_source(data, wish.policy, champion.model if champion else None) or base_model(data)
    artifact, digest = str(place.relative_to(data)), report.challenger.digests["policy"]
    known = await policies.of_weights(connection, digest)
    if same := [row.version for row in known if row.artifact == artifact]:
        return str(same[0])
    made = await store.maker_of(connection, artifact)
    training = await asyncio.to_thread(_training, data, made) if made else None
    decoding = {**(champion.decoding if champion and champion.kind == "vllm" else {})}
    decoding["examples"] = int(report.challenger.digests.get("examples", 0))
    row = await versions.register(
        connection,
        name=_NAME,
        kind="vllm",
        locales=_locales(champion, settings, report.prompts.language),
        endpoint=None,
        model=place.name,
        decoding=Decoding(**decoding),
        made_from=versions.MadeFrom(
            parent=await _parent(connection, training, champion) if training else None,
            digest=digest,
            artifact=artifact,
            snapshot=await asyncio.to_thread(_snapshot, data / wish.reward_model),
            config=training.config if training else {},
            metrics={line.measure: line.challenger.value for line in report.lines if line.challenger},
        ),
        actor=actor,
    )
    return str(row.version)


def _locales(champion: Any, settings: Settings, language: str) -> list[str]:
    """The champion's locales in the language that the gate looked at: a version states nothing that was not tested."""
    stated: Sequence[str] = champion.locales if champion and champion.kind == "vllm" else settings.policy_locales
    for offered in (stated, LOCALES):
        if spoken := [locale for locale in offered if locale.startswith(language)]:
            return spoken
    raise Problem(
        422, "unknown_language", f"the gate looked at texts in {language!r}: no locale of it is supported",
        field="language", value=language,
    )  # fmt: skip


def _training(data: Path, job: Any) -> Training:
    """From the run.json of a training job, as far as it is there."""
    folder = folder_of(data, job.id)
    found = next((path for name in _RUNS if (path := folder / name / "run.json").is_file()), None)
    run = json.loads(found.read_text(encoding="utf-8")) if found else {}
    return Training(job.parameters.get("policy", "base"), run.get("digests", {}).get("policy"), run.get("config", {}))


async def _parent(connection: AsyncConnection, training: Training, champion: Any) -> str | None:
    """The version that a training started from: by its weights, else the champion, where that has no digest."""
    if training.start_digest is not None:
        known = [row.version for row in await policies.of_weights(connection, training.start_digest)]
        if known:
            return str(champion.version if champion and champion.version in known else known[0])
    if training.started_from == "champion" and champion is not None and champion.digest is None:
        return str(champion.version)
    return None


def _snapshot(reward_model: Path) -> str | None:
    """The digest of the logs that the reward model learned from, which the policy learned from by it."""
    manifest = reward_model / "manifest.json"
    data: str | None = json.loads(manifest.read_text(encoding="utf-8")).get("data") if manifest.is_file() else None
    return data
