"""What a job may be, and the parameters of each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.core.contract import Slug
from app.core.problems import Problem
from app.services.canary.rules import CanaryRules

Reason = Literal["manual", "schedule", "conversions", "guardrail"]
# rejected: the gate or the canary did its work and decided against the policy
State = Literal["waiting", "queued", "running", "succeeded", "rejected", "failed", "cancelled"]

TRAINING, OPERATIONS = "training", "operations"  # queues: one training job at a time per GPU set, a few of the others

_Path = Annotated[
    str,
    Field(
        min_length=1,
        max_length=300,
        pattern=r"^[^\x00-\x1f\\]+$",
        description="A path below the data directory, such as jobs/…/snapshot or artifacts/reward-models/….",
    ),
]
_PolicySource = Annotated[
    str,
    Field(
        min_length=1,
        max_length=300,
        pattern=r"^[^\x00-\x1f\\@=]+$",
        description="champion, base (the packaged model as it comes), or a path below the data directory.",
    ),
]
_Changes = Annotated[list[Annotated[str, Field(min_length=1, max_length=300)]], Field(max_length=50)]


class Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Configured(Parameters):
    """A training's configuration: a file by its name, and settings that differ from it."""

    config: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{1,80}$",
        description="A file of configs/ in the data directory, or one that ships, without .yaml: grpo_cpu.",
    )
    set: _Changes = Field(default=[], description="Settings that differ from the file, as NAME=VALUE.")


class ExportParameters(Parameters):
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    as_of: AwareDatetime | None = None


class RewardParameters(Configured):
    snapshot: _Path
    held_out: Configured | None = Field(
        default=None, description="The configuration of a held-out reward model, which is trained beside the first."
    )


class PolicyParameters(Configured):
    policy: _PolicySource = "base"
    prompts: _Path | None = None


class GrpoParameters(PolicyParameters):
    reward_model: _Path | None = None
    held_out_reward_model: _Path | None = None


class DpoParameters(PolicyParameters):
    reward_model: _Path


class EvaluateParameters(Parameters):
    policy: _PolicySource
    baseline: _PolicySource = "champion"
    reward_model: _Path | None = None
    held_out_reward_model: _Path | None = None
    prompts: _Path | None = None
    language: Literal["en", "zh", "ja"] = "en"
    limit: int | None = Field(default=None, ge=1, le=100_000, description="Prompts; absent: all of the split.")
    samples: int = Field(default=5, ge=1, le=64, description="Texts per prompt.")
    max_completion: int = Field(default=96, ge=16, le=1024, description="Tokens per text at most.")


class GateParameters(Configured):
    policy: _PolicySource
    baseline: _PolicySource = "champion"
    reward_model: _Path
    held_out_reward_model: _Path
    prompts: _Path | None = None


class CanaryParameters(Parameters):
    policy: _PolicySource | None = Field(
        default=None,
        description="Start the canary of this version, or of the weights at this path. Absent: look at the open ones.",
    )
    layer: Slug = "default"
    rules: CanaryRules = CanaryRules()


class NoParameters(Parameters):
    pass


class RetrainEvaluation(Parameters):
    limit: int | None = Field(default=None, ge=1, le=100_000)
    samples: int = Field(default=5, ge=1, le=64)
    max_completion: int = Field(default=96, ge=16, le=1024)


class RetrainCanary(Parameters):
    layer: Slug = "default"
    rules: CanaryRules = CanaryRules()


class RetrainParameters(Parameters):
    """A chain from clicks to a gated policy. What is absent is that of the packaged model on one machine."""

    policy: _PolicySource = "champion"
    prompts: _Path | None = None
    language: Literal["en", "zh", "ja"] = "en"
    export: ExportParameters = ExportParameters()
    reward: Configured = Configured(config="reward_cpu")
    held_out: Configured = Configured(config="reward_held_out")
    grpo: Configured = Configured(config="grpo_cpu")
    evaluate: RetrainEvaluation = RetrainEvaluation()
    gate: Configured = Configured()
    canary: RetrainCanary = RetrainCanary()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job."""

    name: str
    parameters: type[Parameters]
    queue: str = TRAINING
    # the same request always gives the same result, so a job that ended well answers it; others may be asked for again
    reproducible: bool = True


RETRAIN, CANARY, WEBHOOKS = "retrain", "canary", "webhooks"
KINDS = {
    kind.name: kind
    for kind in (
        Kind("export", ExportParameters, OPERATIONS, reproducible=False),
        Kind("reward", RewardParameters),
        Kind("sft", PolicyParameters),
        Kind("dpo", DpoParameters),
        Kind("grpo", GrpoParameters),
        Kind("evaluate", EvaluateParameters),
        Kind("gate", GateParameters),
        Kind(CANARY, CanaryParameters, OPERATIONS, reproducible=False),
        Kind(WEBHOOKS, NoParameters, OPERATIONS, reproducible=False),
        Kind("retention", NoParameters, OPERATIONS, reproducible=False),
        Kind("backup", NoParameters, OPERATIONS, reproducible=False),
        Kind(RETRAIN, RetrainParameters, reproducible=False),
    )
}


def kind_of(name: str) -> Kind:
    """The kind of that name; Problem where there is none."""
    if name not in KINDS:
        raise Problem(
            422, "unknown_kind", f"there is no job kind {name[:80]!r}: use one of {', '.join(KINDS)}", field="kind",
            value=name,
        )  # fmt: skip
    return KINDS[name]
