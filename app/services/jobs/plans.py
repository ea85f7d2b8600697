"""What a job runs: commands of `relate`, each a child process, and the artifact that each of them leaves."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.core.settings import Settings
from app.services.jobs.artifacts import (
    BACKUPS,
    JOBS,
    POLICIES,
    REWARD_MODELS,
    Artifact,
    config_file,
    digest_of,
    inside,
    measured,
    policy_source,
)
from app.services.jobs.kinds import (
    CanaryParameters,
    Configured,
    DpoParameters,
    EvaluateParameters,
    ExportParameters,
    GateParameters,
    GrpoParameters,
    PolicyParameters,
    RewardParameters,
    kind_of,
)
from trainer.config import GrpoConfig, load_config
from trainer.durable import publish
from trainer.registry import base_model

REJECTED = 3  # how `relate evaluate gate` and `relate canary` end when they decide against the challenger


@dataclass(frozen=True, kw_only=True)
class Command:
    """One child process. Repeated after an interruption it resumes; where `whole` matches, its work is done."""

    arguments: Sequence[str]  # after `relate`
    makes: str | None = None  # the artifact's name
    place: Path  # where it works
    whole: str | None = None  # a file below `place` that is written last; None: the command itself knows
    artifact: str = "."  # the artifact, from `place`; with `*`: the folder of what `whole` matches
    steps: int | None = None  # training steps, for kinds that count them

    def done(self) -> bool:
        return self.whole is not None and any(self.place.glob(self.whole))

    def made(self) -> Path:
        if self.artifact == "*":
            assert self.whole is not None
            return next(iter(sorted(self.place.glob(self.whole)))).parent
        return self.place / self.artifact


@dataclass(frozen=True, slots=True)
class Champion:
    """The policy that serves now, where baselines and retraining start."""

    version: str
    model: str | None


@dataclass(frozen=True, slots=True)
class Planner:
    """Turns a job's parameters into commands. Problem where something that they name is gone."""

    settings: Settings
    champion: Champion
    folder: Path  # the job's own
    created_at: datetime

    def commands(self, kind: str, parameters: dict[str, Any]) -> list[Command]:
        plans: dict[str, Callable[[Any], list[Command]]] = {
            "export": self._export, "reward": self._reward, "sft": self._sft, "dpo": self._dpo, "grpo": self._grpo,
            "evaluate": self._evaluate, "gate": self._gate, "canary": self._canary, "webhooks": self._webhooks,
            "retention": self._retention, "backup": self._backup,
        }  # fmt: skip
        return plans[kind](kind_of(kind).parameters.model_validate(parameters))

    @property
    def _data(self) -> Path:
        return self.settings.data_dir.resolve()

    def _export(self, wish: ExportParameters) -> list[Command]:
        place = self.folder / "snapshot"
        times = [(name, value) for name in ("since", "until", "as_of") if (value := getattr(wish, name))]
        given = [f"--{name.replace('_', '-')}={value.isoformat()}" for name, value in times]
        arguments = ["export", f"--out={place}", *given]
        return [Command(arguments=arguments, makes="snapshot", place=place, whole="manifest.json")]

    def _reward(self, wish: RewardParameters) -> list[Command]:
        snapshot = inside(self._data, wish.snapshot, "snapshot")
        wanted: list[tuple[str, Configured]] = [("reward_model", wish)]
        if wish.held_out is not None:
            wanted.append(("held_out_reward_model", wish.held_out))
        return [
            Command(
                arguments=[
                    *("train", "reward", f"--snapshot={snapshot}", f"--out={self.folder / name}"),
                    *self._configured(configured), *self._shared(),
                ],
                makes=name, place=self.folder / name, whole="*/manifest.json", artifact="*",
            )
            for name, configured in wanted
        ]  # fmt: skip

    def _sft(self, wish: PolicyParameters) -> list[Command]:
        place = self.folder / "policy"
        arguments = ["train", "sft", f"--out={place}", *self._start(wish), *self._configured(wish), *self._options()]
        return [Command(arguments=arguments, makes="policy", place=place)]

    def _dpo(self, wish: DpoParameters) -> list[Command]:
        place = self.folder / "policy"
        arguments = [
            *("train", "dpo", f"--out={place}", f"--policy={self._source(wish.policy)}", *self._prompts(wish.prompts)),
            *self._model("reward-model", wish.reward_model), *self._configured(wish), *self._shared(),
        ]  # fmt: skip
        return [Command(arguments=arguments, makes="policy", place=place)]

    def _grpo(self, wish: GrpoParameters) -> list[Command]:
        place = self.folder / "run"
        config = load_config(GrpoConfig, config_file(self._data, wish.config), wish.set)
        arguments = [
            *("train", "grpo", f"--out={place}", *self._start(wish), *self._configured(wish)),
            *self._models(wish.reward_model, wish.held_out_reward_model), *self._shared(),
        ]  # fmt: skip
        return [
            Command(
                arguments=arguments, makes="policy", place=place, whole="outcome.json", artifact="policy",
                steps=config.steps,
            )
        ]  # fmt: skip

    def _evaluate(self, wish: EvaluateParameters) -> list[Command]:
        place = self.folder / "evaluation"
        limit = [] if wish.limit is None else [f"--limit={wish.limit}"]
        arguments = [
            *("evaluate", "policy", f"--out={place}", f"--language={wish.language}", f"--samples={wish.samples}"),
            *(f"--max-completion={wish.max_completion}", *limit),
            *(f"--policy={self._entrant(source)}" for source in (wish.baseline, wish.policy)),
            *self._models(wish.reward_model, wish.held_out_reward_model),
            *self._prompts(wish.prompts), *self._shared(),
        ]  # fmt: skip
        return [Command(arguments=arguments, makes="evaluation", place=place, whole="report.html")]

    def _gate(self, wish: GateParameters) -> list[Command]:
        place = self.folder / "gate"
        arguments = [
            *("evaluate", "gate", f"--out={place}", f"--champion={self._entrant(wish.baseline)}"),
            *(f"--challenger={self._entrant(wish.policy)}", *self._configured(wish)),
            *self._models(wish.reward_model, wish.held_out_reward_model),
            *self._prompts(wish.prompts), *self._shared(),
        ]  # fmt: skip
        return [Command(arguments=arguments, makes="gate_report", place=place)]

    def _canary(self, wish: CanaryParameters) -> list[Command]:
        started = [] if wish.policy is None else [f"--policy={wish.policy}", f"--rules={wish.rules.model_dump_json()}"]
        return [Command(arguments=["canary", f"--layer={wish.layer}", *started], place=self.folder)]

    def _webhooks(self, wish: object) -> list[Command]:
        return [Command(arguments=["webhooks"], place=self.folder)]

    def _retention(self, wish: object) -> list[Command]:
        return [Command(arguments=["retention"], place=self.folder)]

    def _backup(self, wish: object) -> list[Command]:
        name = f"relate-{self.created_at.astimezone(UTC):%Y%m%dT%H%M%SZ}.tar"
        place = self._data / BACKUPS
        place.mkdir(parents=True, exist_ok=True)
        arguments = ["backup", str(place / name)]
        return [Command(arguments=arguments, makes="backup", place=place, whole=name, artifact=name)]

    def _configured(self, configured: Configured) -> list[str]:
        file = config_file(self._data, configured.config)
        return [*([f"--config={file}"] if file else []), *(f"--set={change}" for change in configured.set)]

    def _start(self, wish: PolicyParameters) -> list[str]:
        source = policy_source(self._data, wish.policy, self.champion.model)
        return [*([f"--policy={source}"] if source else []), *self._prompts(wish.prompts)]

    def _source(self, policy: str) -> Path:
        return policy_source(self._data, policy, self.champion.model) or base_model(self._data)

    def _entrant(self, policy: str) -> str:
        names = {"champion": self.champion.version}
        return f"{names.get(policy, Path(policy).name)}={self._source(policy)}"

    def _models(self, reward_model: str | None, held_out: str | None) -> list[str]:
        given = (("reward-model", reward_model), ("held-out-reward-model", held_out))
        return [option for name, model in given for option in self._model(name, model)]

    def _model(self, name: str, model: str | None) -> list[str]:
        return [] if model is None else [f"--{name}={inside(self._data, model, name.replace('-', '_'))}"]

    def _prompts(self, prompts: str | None) -> list[str]:
        return [] if prompts is None else [f"--prompts={inside(self._data, prompts, 'prompts')}"]

    def _options(self) -> list[str]:
        return [f"--data-dir={self._data}", f"--threads={self.settings.training_threads}"]

    def _shared(self) -> list[str]:
        return [*self._options(), f"--cache={self._data / 'cache' / 'embeddings'}"]


def folder_of(data_dir: Path, job_id: object) -> Path:
    """Where a job works and keeps its log."""
    return data_dir.resolve() / JOBS / str(job_id)


def collected(settings: Settings, command: Command) -> list[Artifact]:
    """The artifact that a command left. Models move on to where they are kept under their immutable name."""
    if command.makes is None:
        return []
    made, data = command.made(), settings.data_dir.resolve()
    if command.makes == "policy":
        named = f"relate-{datetime.now(UTC):%Y%m%d}-{digest_of(made)[:6]}"
        made = _kept(made, data / POLICIES / named)
    elif command.makes in ("reward_model", "held_out_reward_model"):
        made = _kept(made, data / REWARD_MODELS / made.name)
    elif command.makes == "backup":
        _forget_old(made.parent, settings.backups_kept)
    return [measured(data, command.makes, made)]


def _kept(made: Path, target: Path) -> Path:
    """A copy under another name, whole or not there; one of that name and content may be there already."""
    if not target.exists():
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(made, partial, ignore=shutil.ignore_patterns("checkpoints", "*.partial"))
        publish(partial, target)
    return target


def _forget_old(folder: Path, kept: int) -> None:
    for file in sorted(folder.glob("relate-*.tar"))[:-kept]:
        file.unlink()
