"""Every run's configuration: a frozen dataclass, read from YAML, changed from the command line, refused before anything
heavy is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml  # type: ignore[import-untyped]


class ConfigError(ValueError):
    """A value that a run cannot start with: names the value, the rule and the way out."""


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    """One training of the reward model (DESIGN §7). The judge is the same training with another encoder on other
    advertisers.
    """

    # minilm, hashed (the judge's), or any sentence-transformers name or folder, such as Qwen/Qwen3-Embedding-0.6B
    encoder: str = "minilm"
    surface: bool = True  # beside the encoder's vectors: length, marks, case, digits, address
    half: str = "all"  # which advertisers' rows: all | policy | judge; the last two never overlap
    # share of groups (advertisers, stories) that no gradient sees: early stopping and calibration
    held_out: float = 0.15
    tested: float = 0.15  # share of groups that no choice reads: the reported metrics
    members: int = 5  # of the ensemble, each with its own seed
    bootstrap: bool = True  # each member learns from a bootstrap sample of groups
    bottom: tuple[int, ...] = (128,)  # widths of the shared bottom
    tower: tuple[int, ...] = (64,)  # widths of each head's own layers
    dropout: float = 0.2
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    batch_cells: int = 2048  # impressions with equal features are one cell
    epochs: int = 30
    patience: int = 4  # epochs without a better held-out loss before a member stops
    ranking_weight: float = 0.0  # of the within-brief ranking term beside the pointwise losses
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("members", "batch_cells", "epochs", "patience"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)} must be at least 1")
        if self.held_out <= 0 or self.tested <= 0 or self.held_out + self.tested >= 0.9:
            raise ConfigError(
                f"held_out {self.held_out} and tested {self.tested} must be positive and leave more than 0.1 for "
                "training"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"dropout {self.dropout} must lie in [0, 1)")
        if self.learning_rate <= 0 or self.weight_decay < 0 or self.ranking_weight < 0:
            raise ConfigError("learning_rate must be positive, weight_decay and ranking_weight must not be negative")
        if self.half not in ("all", "policy", "judge"):
            raise ConfigError(f"half {self.half!r} is unknown: use all, policy or judge")
        if any(width < 1 for width in (*self.bottom, *self.tower)) or not self.bottom:
            raise ConfigError(
                f"bottom {self.bottom} and tower {self.tower} are widths of layers: each at least 1, bottom not empty"
            )


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Low-rank updates of frozen weights: W + (alpha / rank) · B·A. Without dropout: π_old and π_θ must be one
    distribution.
    """

    rank: int = 16
    alpha: int = 32
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 1 or not self.targets:
            raise ConfigError(
                f"lora rank {self.rank} and alpha {self.alpha} must be at least 1, and targets {self.targets} not empty"
            )


@dataclass(frozen=True, kw_only=True)
class SftConfig:
    """Supervised fine-tuning on reference texts: the baseline of the two-stage way, and where GRPO starts (RELATE
    §4.1.3).
    """

    language: str = "en"
    lora: LoraSettings | None = field(default_factory=LoraSettings)  # null: all weights learn
    dtype: str = "float32"  # of the weights; those of an adapter stay float32
    epochs: int = 1
    batch_size: int = 4  # queries a step, each with all its references
    micro_batch: int = 1  # queries in one forward pass
    learning_rate: float = 5e-4
    warmup_steps: int = 5
    gradient_checkpointing: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        refuse_below_one(self, "epochs", "batch_size", "micro_batch")
        refuse_dtype(self.dtype, trains_all=self.lora is None)
        if self.batch_size % self.micro_batch:
            raise ConfigError(f"batch_size {self.batch_size} must be a multiple of micro_batch {self.micro_batch}")
        if self.learning_rate <= 0 or self.warmup_steps < 0:
            raise ConfigError(
                f"learning_rate {self.learning_rate} must be positive, warmup_steps {self.warmup_steps} not negative"
            )


@dataclass(frozen=True, kw_only=True)
class DpoConfig:
    """Direct preference optimisation of a fine-tuned policy on pairs of its own texts: the second stage of the
    two-stage way.
    """

    language: str = "en"
    queries: int | None = None  # training queries that pairs are made of, evenly spread; null: all
    samples: int = 5  # texts a query, of which the best and the worst become a pair
    # as the policy's own adapter; null: all weights learn
    lora: LoraSettings | None = field(default_factory=LoraSettings)
    dtype: str = "float32"  # of the weights; those of an adapter stay float32
    epochs: int = 1
    batch_size: int = 8  # pairs a step
    micro_batch: int = 1  # pairs in one forward pass
    learning_rate: float = 5e-5
    beta: float = 0.1  # of the KL to the policy it starts from
    gradient_checkpointing: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        refuse_below_one(self, "epochs", "batch_size", "micro_batch")
        refuse_dtype(self.dtype, trains_all=self.lora is None)
        if self.batch_size % self.micro_batch:
            raise ConfigError(f"batch_size {self.batch_size} must be a multiple of micro_batch {self.micro_batch}")
        if self.samples < 2 or (self.queries is not None and self.queries < 1):
            raise ConfigError(
                f"samples {self.samples} must be at least 2, for a pair, and queries {self.queries} at least 1 or null"
            )
        if self.learning_rate <= 0 or self.beta <= 0:
            raise ConfigError(f"learning_rate {self.learning_rate} and beta {self.beta} must be positive")


@dataclass(frozen=True, kw_only=True)
class AblateConfig:
    """Table 2's five configurations, trained alike and compared (RELATE §4.4)."""

    language: str = "en"
    seeds: tuple[int, ...] = (0, 1, 2)
    settings: tuple[str, ...] = ()  # NAME=VALUE over every configuration's file: steps=60
    queries: int | None = None  # training queries, evenly spread; null: all
    held_out: int | None = None  # held-out queries; null: all
    samples: int = 5  # texts a held-out query

    def __post_init__(self) -> None:
        refuse_below_one(self, "samples")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"seeds {self.seeds} must be different numbers, at least one")
        if any(number is not None and number < 1 for number in (self.queries, self.held_out)):
            raise ConfigError(
                f"queries {self.queries} and held_out {self.held_out} must be at least 1, or null for all"
            )


def refuse_below_one(config: object, *names: str) -> None:
    """ConfigError for a count that is not at least 1."""
    for name in names:
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} {getattr(config, name)} must be at least 1")


def refuse_dtype(dtype: str, *, trains_all: bool) -> None:
    """ConfigError for a dtype that cannot learn: a bfloat16 weight swallows a step of 1e-5, an adapter over frozen ones
    does not.
    """
    if dtype not in ("float32", "bfloat16"):
        raise ConfigError(f"dtype {dtype!r} is unknown: use float32 or bfloat16")
    if dtype == "bfloat16" and trains_all:
        raise ConfigError(
            "dtype bfloat16 with all weights learning would swallow small steps: use float32, or set lora"
        )


TERMS = ("length", "format", "relevance", "correctness", "risk", "diversity", "ctcvr")  # of the reward (DESIGN §5)
CHARGEABLE = ("correctness", "risk", "diversity")  # terms that know which tokens to charge
Aggregation = Literal["sum", "sequence", "token"]


@dataclass(frozen=True, kw_only=True)
class DualSettings:
    """Eq. 1 by dual ascent: μ ← clip(μ + rate · (τ − EMA(batch mean)), 0, 10); μ_q multiplies λ1, μ_d multiplies λ2."""

    quality: float = 0.94  # τ_q: raw compliance (RELATE table 1)
    diversity: float = 0.82  # τ_d
    rate: float = 0.1  # η
    memory: float = 0.9  # of the moving average

    def __post_init__(self) -> None:
        if not (0 < self.quality <= 1 and 0 < self.diversity <= 1 and self.rate > 0 and 0 <= self.memory < 1):
            raise ConfigError(f"dual: quality {self.quality} and diversity {self.diversity} lie in (0, 1], rate "
                              f"{self.rate} above 0, "
                              f"memory {self.memory} in [0, 1)")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What stops a run, measured as means of the latest `window` steps: the policy has left its language, or learned to
    cheat.
    """

    window: int = 5
    kl: float = 0.5  # to π_ref, nats a token
    shortest: float = 0.6  # tokens a text, as a share of the first window's
    longest: float = 1.5
    distinct: float = 0.5  # distinct texts a brief, as a share of the group size
    gap: float = 0.25  # rise of (training − held-out reward model) over the first window's, both in [0, 1]

    def __post_init__(self) -> None:
        if (
            self.window < 1
            or not 0 <= self.shortest < 1 < self.longest
            or self.kl <= 0
            or self.gap <= 0
            or not 0 <= self.distinct < 1
        ):
            raise ConfigError(
                f"limits {self} must hold: window ≥ 1, shortest < 1 < longest, kl > 0, gap > 0, 0 ≤ distinct < 1"
            )


@dataclass(frozen=True, kw_only=True)
class GrpoConfig:
    """One GRPO run (DESIGN §5, §6; RELATE §4.1)."""

    language: str = "en"  # of the prompts
    steps: int = 150  # optimiser steps (RELATE table 3)
    group_size: int = 5  # G, texts sampled per prompt
    batch_size: int = 1440  # texts per optimiser step, over all ranks
    max_completion: int = 96  # tokens a text, R_max
    seed: int = 0

    rollout: Literal["hf", "vllm"] = "hf"
    # mean |Δ log p| of sampler and trainer beyond which its weights are stale; bfloat16 rounding makes 0.04
    drift: float = 0.1
    # C: a token's gain counts min(π_old/π_sampler, C), for a sampler of lower precision; null: 1
    sampler_cap: float | None = None
    rollout_memory: float = 0.3  # share of a GPU that vLLM may take
    launcher: Literal["local", "ray"] = "local"
    engine: Literal["torch", "deepspeed"] = "torch"  # deepspeed: ZeRO stage 2
    ranks: int = 1

    precision: Literal["float32", "bfloat16"] = "float32"  # of forward and backward; masters are float32
    lora: LoraSettings | None = None
    checkpointing: bool = False
    shared_prompt: bool = True  # one forward over [prompt, y_1 … y_G]
    micro_groups: int = 1  # groups per forward and backward

    learning_rate: float = 1e-6
    warmup: int = 5  # steps
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    updates: int = 1  # optimiser steps per rollout
    beta: float = 0.02  # of the KL to π_ref
    # KL times π_θ/π_old, TRL's default: its gradient is then that of D_KL itself, not of the k3 estimate
    weighted_kl: bool = False
    clip_low: float = 0.2
    clip_high: float = 0.2
    aggregation: Aggregation = "sum"

    sentence_terms: dict[str, float] = field(
        default_factory=lambda: {"length": 0.5, "format": 0.5, "relevance": 1.0, "ctcvr": 1.0}
    )
    # λ, eq. 5
    token_terms: dict[str, float] = field(default_factory=lambda: {"correctness": 2.0, "risk": 2.0, "diversity": 0.5})
    alpha: float = 1.0  # of token advantages, eq. 7
    kappa: float = 1.0  # standard deviations of the ensemble that a predicted CTCVR is lowered by
    # share of a field's max below which it is too short (§3.3.1's target interval); 0: the platform's own min
    length_fill: float = 0.0
    relevance_encoder: str | None = "minilm"  # None: relevance is neither weighted nor watched
    constraints: Literal["none", "dual"] = "none"
    dual: DualSettings = DualSettings()
    limits: Limits = Limits()
    checkpoint_every: int = 10  # steps
    trackers: tuple[str, ...] = ()  # of Accelerate: tensorboard, wandb, … beside the files

    @property
    def prompts_per_step(self) -> int:
        return self.batch_size // self.group_size

    def __post_init__(self) -> None:
        for name in ("steps", "max_completion", "ranks", "micro_groups", "updates", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)} must be at least 1")
        if self.group_size < 2:
            raise ConfigError(
                f"group_size {self.group_size} leaves nothing to compare within a group: use at least 2, such as 5"
            )
        if self.batch_size < 1 or self.batch_size % (self.group_size * self.ranks):
            raise ConfigError(
                f"batch_size {self.batch_size} must be a multiple of group_size {self.group_size} × ranks {self.ranks}"
            )
        if (
            self.learning_rate <= 0
            or self.max_grad_norm <= 0
            or min(self.warmup, self.weight_decay, self.beta, self.alpha, self.kappa) < 0
        ):
            raise ConfigError(
                "learning_rate and max_grad_norm must be positive; warmup, weight_decay, beta, alpha, kappa not "
                "negative"
            )
        if not (0 < self.clip_low < 1 and self.clip_high > 0):
            raise ConfigError(f"clip_low {self.clip_low} must lie in (0, 1) and clip_high {self.clip_high} above 0")
        if self.sampler_cap is not None and self.sampler_cap < 1:
            raise ConfigError(
                f"sampler_cap {self.sampler_cap} would weigh every token less: it must be at least 1, such as 2, or "
                "null"
            )
        if not 0 <= self.length_fill < 1:
            raise ConfigError(
                f"length_fill {self.length_fill} is a share of a field's max: it must lie in [0, 1), such as 0.7"
            )
        if self.ranks > 1 and self.engine == "torch":
            raise ConfigError(f"ranks {self.ranks} need engine: deepspeed; engine: torch is one process")
        self._check_choices()
        self._check_terms()

    def _check_choices(self) -> None:
        types = get_type_hints(type(self))
        for name in ("rollout", "launcher", "engine", "precision", "aggregation", "constraints"):
            if (value := getattr(self, name)) not in get_args(types[name]):
                raise ConfigError(f"{name} {value!r} is unknown: use one of {', '.join(get_args(types[name]))}")

    def _check_terms(self) -> None:
        if unknown := sorted((self.sentence_terms.keys() | self.token_terms.keys()) - set(TERMS)):
            raise ConfigError(f"{', '.join(unknown)}: no such reward term; there are {', '.join(TERMS)}")
        if twice := sorted(self.sentence_terms.keys() & self.token_terms.keys()):
            raise ConfigError(
                f"{', '.join(twice)}: at sentence level and at token level; a term counts once, so take it out of one"
            )
        if spanless := sorted(self.token_terms.keys() - set(CHARGEABLE)):
            raise ConfigError(
                f"{', '.join(spanless)}: known of a whole text only; at token level there are {', '.join(CHARGEABLE)}"
            )
        if any(value < 0 for value in (*self.sentence_terms.values(), *self.token_terms.values())):
            raise ConfigError("weights in sentence_terms and penalties in token_terms must not be negative")
        if not any(self.sentence_terms.values()):
            raise ConfigError("sentence_terms hold no weight above 0: a group needs one, such as length: 0.5")
        if self.constraints == "dual" and not self.token_terms:
            raise ConfigError("constraints: dual scales the penalties of token_terms, and there are none")


Config = TypeVar("Config")


def load_config(kind: type[Config], path: Path | None, overrides: Iterable[str] = ()) -> Config:
    """Defaults, then the YAML file, then `name=value` overrides in YAML's own spelling; `lora.rank=8` reaches inside a
    setting and leaves the rest of it as it is.

    ConfigError names what does not fit.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"{path} cannot be read as YAML: {error}") from error
        if not isinstance(content, Mapping):
            raise ConfigError(f"{path} holds {type(content).__name__}: write one `name: value` a line")
        values |= content
    defaults = {one.name: one.default_factory() for one in fields(kind) if one.default_factory is not MISSING}  # type: ignore[arg-type]
    for override in overrides:
        name, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"override {override!r} is not name=value, such as epochs=3")
        *outer, last = name.split(".")
        place = values
        for part in outer:
            inner = place.get(part, defaults.get(part) if place is values else None)
            place[part] = dict(inner) if isinstance(inner, Mapping) else {}
            place = place[part]
        place[last] = yaml.safe_load(value)
    return from_mapping(kind, values)


def from_mapping(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """The config with these values, each of its field's type."""
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]  # every kind is one of this file's dataclasses
    if unknown := sorted(set(values) - set(known)):
        raise ConfigError(f"{', '.join(unknown)}: no such setting; there are {', '.join(known)}")
    types = get_type_hints(kind)
    needed = (name for name, one in known.items() if one.default is MISSING and one.default_factory is MISSING)
    if missing := [name for name in needed if name not in values]:
        raise ConfigError(f"{', '.join(missing)} must be set")
    return kind(**{name: _typed(name, value, types[name]) for name, value in values.items()})


def _typed(name: str, value: Any, wanted: Any) -> Any:
    """The value as its field's type: a number, word, list, mapping, or a config inside this one; None where the field
    may be absent.
    """
    options = get_args(wanted)
    if get_origin(wanted) is Literal:
        return value  # its config says which are allowed
    if type(None) in options:
        return None if value is None else _typed(name, value, next(one for one in options if one is not type(None)))
    if is_dataclass(wanted) and isinstance(value, Mapping):
        return from_mapping(cast(type, wanted), value)
    if get_origin(wanted) is tuple and isinstance(value, list | tuple):
        return tuple(_typed(name, one, options[0]) for one in value)
    if get_origin(wanted) is dict and isinstance(value, Mapping):
        return {_typed(name, key, options[0]): _typed(f"{name}.{key}", one, options[1]) for key, one in value.items()}
    if wanted is float and isinstance(value, int | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML 1.1 reads 1e-3 as a word
        except ValueError:
            raise ConfigError(f"{name}: {value!r} is not a number") from None
    if isinstance(wanted, type) and type(value) is wanted:
        return value
    raise ConfigError(f"{name}: {value!r} is not {_said(wanted)}")


def _said(wanted: Any) -> str:
    if get_origin(wanted) is tuple:
        return "a list" + (" of whole numbers, such as [128, 64]" if get_args(wanted)[0] is int else "")
    if get_origin(wanted) is dict or is_dataclass(wanted):
        return "a mapping of names to values"
    return "a number" if wanted is float else str(getattr(wanted, "__name__", wanted))
