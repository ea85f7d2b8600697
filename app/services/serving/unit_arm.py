"""Decides a unit's arm, and the policy that serves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from abtest.assignment import assign
from app.core.contract import GenerateRequest
from app.core.problems import Problem
from app.store.registry import LiveExperiment, Registry
from trainer.registry import PolicyVersion


@dataclass(frozen=True, slots=True)
class UnitArm:
    """A unit's experiment and arm, and the policy that serves it."""

    policy: PolicyVersion
    experiment: str | None = None
    phase_id: int = 0
    arm: int = 0
    arm_name: str | None = None
    note: str | None = None


def arm_of_unit(request: GenerateRequest, registry: Registry) -> UnitArm:
    """The unit's arm and policy. Outside all experiments the champion serves, and the answer is not
    counted.
    """
    if request.experiment is None:
        for experiment in registry.running.get(request.layer, ()):
            if (unit_arm := _in(experiment, request.unit_id, registry.policies)) is not None:
                return unit_arm
        return UnitArm(registry.champion)
    named = registry.experiments.get(request.experiment)
    if named is None:
        known = ", ".join(sorted(registry.experiments)[:10]) or "none yet"
        detail = f"there is no experiment {request.experiment!r}; known: {known}. Omit it to follow the layer."
        raise Problem(404, "unknown_experiment", detail, field="experiment", value=request.experiment)
    if named.state != "running":
        return UnitArm(
            registry.champion, note=f"experiment {named.name} is {named.state}: the champion was served, not counted"
        )
    return _in(named, request.unit_id, registry.policies) or UnitArm(registry.champion)


def _in(experiment: LiveExperiment, unit_id: str, policies: Mapping[str, PolicyVersion]) -> UnitArm | None:
    if experiment.plan is None or (name := assign(experiment.plan, unit_id)) is None:
        return None
    arm = experiment.arm_names.index(name)
    return UnitArm(policies[experiment.policies[arm]], experiment.name, experiment.phase_id, arm, name)
