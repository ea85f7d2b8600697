"""The configuration of one GRPO run."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainer.config.base import Count, NotNegative, Number, Positive, Precision, Settings, Strings
from trainer.config.policies import LoraSettings
from trainer.config.terms import Terms, standard_terms

Aggregation = Literal["sum", "sequence", "token"]
Share = Annotated[Number, Field(gt=0, le=1)]
Fraction = Annotated[Number, Field(ge=0, lt=1)]


class DualSettings(Settings):
    """Eq. 1 by dual ascent: μ ← clip(μ + rate · (τ − EMA(batch mean)), 0, 10). μ_q multiplies the weights of risk and
    correctness, μ_d that of diversity.
    """

    quality: Share = 0.94  # τ_q: raw compliance (RELATE table 1)
    diversity: Share = 0.82  # τ_d
    rate: Positive = 0.1  # η
    memory: Fraction = 0.9  # weight of the past in the moving average


class Limits(Settings):
    """Collapse or reward hacking stops a run: each is measured as the mean of the latest `window` steps. null: no
    limit.
    """

    window: Count = 5
    kl: Positive | None = 0.5  # to π_ref, nats per token
    shortest: Fraction = 0.6  # tokens per text, as a share of the first window's
    longest: Annotated[Number, Field(gt=1)] | None = 1.5
    distinct: Fraction = 0.5  # distinct texts per brief, as a share of the group size
    gap: Positive | None = 0.25  # rise of (training − held-out reward model) over the first window's, both in [0, 1]
    judge_gap: Positive | None = 0.15  # rise of (judge − second judge), mean of truth and fluency, likewise
    truth: Positive | None = 0.2  # fall of the judge's mean truth below the first window's
    fluency: Positive | None = 0.2


class GrpoConfig(Settings):
    """One run of group relative policy optimisation (GRPO; RELATE §4.1)."""

    language: str = "en"  # language of the prompts
    steps: Count = 150  # optimiser steps (RELATE table 3)
    group_size: Annotated[int, Field(ge=2)] = 5  # G, texts sampled per prompt
    batch_size: Count = 1440  # texts per optimiser step, over all ranks
    max_completion: Count = 96  # tokens per text, R_max
    seed: int = 0

    rollout: Literal["hf", "vllm"] = "hf"
    # mean |Δ log p| of sampler and trainer, in nats per token, above which the sampler's weights are stale
    drift: Positive = 0.1
    # C: a token's gain counts min(π_old/π_sampler, C), for a sampler of lower precision; null: 1
    sampler_cap: Annotated[Number, Field(ge=1)] | None = None
    rollout_memory: Share = 0.3  # share of a GPU's memory that vLLM may take
    launcher: Literal["local", "ray"] = "local"
    engine: Literal["torch", "deepspeed"] = "torch"  # deepspeed: ZeRO stage 2
    ranks: Count = 1

    precision: Precision = "float32"  # precision of forward and backward; master weights are float32
    lora: LoraSettings | None = None
    gradient_checkpointing: bool = False
    shared_prompt: bool = True  # one forward over [prompt, y_1 … y_G]
    micro_groups: Count = 1  # groups per forward and backward
    # tokens per forward and backward at most, whole groups; it replaces micro_groups. Lengths vary, memory does not
    micro_tokens: Count | None = None

    learning_rate: Positive = 1e-6
    warmup_steps: Annotated[int, Field(ge=0)] = 5
    decay: Literal["constant", "linear", "cosine"] = "constant"  # after the warm-up
    # the step from which on the floor holds, so that more steps do not change the schedule of those before
    decay_steps: Count | None = None
    learning_rate_floor: Fraction = 0.1  # as a share of learning_rate
    weight_decay: NotNegative = 0.0
    max_grad_norm: Positive = 1.0
    updates: Count = 1  # optimiser steps per rollout
    beta: NotNegative = 0.02  # weight of the KL to π_ref
    # KL times π_θ/π_old, TRL's default: its gradient is then that of D_KL itself, not of the k3 estimate
    weighted_kl: bool = False
    clip_low: Annotated[Number, Field(gt=0, lt=1)] = 0.2
    clip_high: Positive = 0.2
    aggregation: Aggregation = "sum"

    terms: Terms = Field(default_factory=standard_terms)
    alpha: NotNegative = 1.0  # weight of token advantages, eq. 7
    constraints: Literal["none", "dual"] = "none"
    dual: DualSettings = DualSettings()
    limits: Limits = Limits()
    checkpoint_every: Count = 10  # steps
    trackers: Strings = ()  # of Accelerate: tensorboard, wandb, … beside the files

    @property
    def prompts_per_step(self) -> int:
        return self.batch_size // self.group_size

    @model_validator(mode="after")
    def _groups_fit_the_ranks(self) -> Self:
        if self.batch_size % (self.group_size * self.ranks):
            raise ValueError(
                f"batch_size {self.batch_size} must be a multiple of group_size {self.group_size} × ranks {self.ranks}"
            )
        if self.ranks > 1 and self.engine == "torch":
            raise ValueError(f"ranks {self.ranks} need engine: deepspeed; engine: torch is one process")
        return self

    @model_validator(mode="after")
    def _decay_has_an_end(self) -> Self:
        if (self.decay == "constant") != (self.decay_steps is None):
            raise ValueError(
                f"decay {self.decay} with decay_steps {self.decay_steps}: linear and cosine need the step at which "
                "they reach the floor, such as decay_steps: 150; constant takes none"
            )
        if self.decay_steps is not None and self.decay_steps <= self.warmup_steps:
            raise ValueError(f"decay_steps {self.decay_steps} must be greater than warmup_steps {self.warmup_steps}")
        return self

    @model_validator(mode="after")
    def _multipliers_have_something_to_scale(self) -> Self:
        if self.constraints == "dual" and not self.terms.weights("token"):
            raise ValueError("constraints: dual scales the weights of terms at token level, and there are none")
        if self.constraints == "dual" and self.terms.diversity is None:
            raise ValueError("constraints: dual needs the term diversity: add it, with weight 0 to watch it only")
        return self
