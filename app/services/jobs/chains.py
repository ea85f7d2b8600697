"""The chain `retrain`: a step is a name and a function that says what the step is asked, given what was made before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.services.jobs.kinds import RetrainParameters

Made = Mapping[str, str]  # path by artifact name, of all earlier steps
_Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the kind of job, and its parameters."""

    kind: str
    parameters: Callable[[RetrainParameters, Made], _Parameters]


def _export(wish: RetrainParameters, made: Made) -> _Parameters:
    return wish.export.model_dump(mode="json")


def _reward(wish: RetrainParameters, made: Made) -> _Parameters:
    return {**wish.reward.model_dump(), "snapshot": made["snapshot"], "held_out": wish.held_out.model_dump()}


def _grpo(wish: RetrainParameters, made: Made) -> _Parameters:
    language = {"set": [*wish.grpo.set, f"language={wish.language}"]}
    return {
        **wish.grpo.model_dump(), **language, "policy": wish.policy, "prompts": wish.prompts, **_models(made)
    }  # fmt: skip


def _evaluate(wish: RetrainParameters, made: Made) -> _Parameters:
    compared = {"policy": made["policy"], "baseline": wish.policy, "language": wish.language}
    return {**wish.evaluate.model_dump(), **compared, "prompts": wish.prompts, **_models(made)}


def _gate(wish: RetrainParameters, made: Made) -> _Parameters:
    language = {"set": [*wish.gate.set, f"language={wish.language}"]}
    compared = {"policy": made["policy"], "baseline": wish.policy}
    return {**wish.gate.model_dump(), **language, **compared, "prompts": wish.prompts, **_models(made)}


def _canary(wish: RetrainParameters, made: Made) -> _Parameters:
    return {**wish.canary.model_dump(mode="json"), "policy": made["policy"]}


def _models(made: Made) -> _Parameters:
    return {name: made[name] for name in ("reward_model", "held_out_reward_model")}


STEPS = (
    Step("export", _export),
    Step("reward", _reward),
    Step("grpo", _grpo),
    Step("evaluate", _evaluate),
    Step("gate", _gate),
    Step("canary", _canary),
)
