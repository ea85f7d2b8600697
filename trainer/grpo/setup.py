"""Builds the objects that the training loop needs, from a config and the names of models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adtext.rules import load_rules
from trainer.adapter import Adapter
from trainer.config import ConfigError, GrpoConfig
from trainer.distributed import Ranks
from trainer.forward.attention import use_shared_prompt_attention
from trainer.grpo.memory import available, gpu_memory, memory_line, shape_of
from trainer.identity import Identity, policy_digests, prompts_digest, reward_model_digest
from trainer.memory import estimate
from trainer.policy import Reference, load_policy, merged_weights, prompt_ids
from trainer.prompts import Prompt
from trainer.registry import read_reward_model
from trainer.rewards import Given, Rewards, Term, build_terms
from trainer.rewards.conversion import Conversion
from trainer.rewards.judge_scores import JudgeScores, judges_of
from trainer.rewards.judged import Fluency, Truth
from trainer.rollout.base import Rollout
from trainer.rollout.hf import HfRollout
from trainer.source import base_of, check_lengths, tokenizer_of
from trainer.tokens import ends_of_text


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The inputs of a run."""

    policy: str  # name, model folder or adapter folder
    base: str | None = None  # base model of an adapter, if not the one that the adapter names
    reward_model: Path | None = None
    held_out_reward_model: Path | None = None  # logged only: no reward reads it
    cache: Path | None = None  # folder of cached embeddings

    def names(self) -> dict[str, str]:
        """The paths as they were given, for the run folder."""
        return {name: str(getattr(self, name)) for name in ("policy", "base", "reward_model", "held_out_reward_model")}

    def digests(self) -> dict[str, str]:
        """Digests of everything that the run reads."""
        models = {name: getattr(self, name) for name in ("reward_model", "held_out_reward_model")}
        return policy_digests(self.policy, self.base) | {
            name: reward_model_digest(folder) for name, folder in models.items()
        }


@dataclass(frozen=True)
class Policy:
    """The policy that is trained, with its reference and optimiser."""

    model: Any  # as the engine prepared it
    plain: Any  # the module without the engine: it is sampled from and saved
    tokenizer: Any
    reference: Reference | None
    optimizer: Any


def memory_of(config: GrpoConfig, inputs: Inputs, prompts: Sequence[Prompt]) -> str:
    """The memory estimate of the run, as one line. Loads no weights."""
    from transformers import AutoConfig

    source = base_of(inputs.policy, inputs.base)
    tokenizer = tokenizer_of(source)
    longest = max(len(prompt_ids(tokenizer, prompt)) for prompt in prompts)
    shape = shape_of(AutoConfig.from_pretrained(source), config.lora)
    return memory_line(
        estimate(config, shape, longest, gpu=gpu_memory(), encoders=_encoders(config, inputs)), available()
    )


def _encoders(config: GrpoConfig, inputs: Inputs) -> int:
    """How many sentence encoders stand on the GPU: the packaged ones stay on the CPU."""
    names = [config.terms.relevance.encoder] if config.terms.relevance else []
    names += [
        str(read_reward_model(folder).config["encoder"])
        for folder in (inputs.reward_model, inputs.held_out_reward_model)
        if folder
    ]
    return sum(name not in ("minilm", "hashed") for name in names)


def check_start(config: GrpoConfig, inputs: Inputs, prompts: Sequence[Prompt]) -> None:
    """ConfigError for a starting policy that cannot be trained with these prompts. Loads no weights."""
    adapter = Adapter.read(Path(inputs.policy))
    if adapter and config.lora:
        adapter.check(config.lora)
    source = base_of(inputs.policy, inputs.base)
    tokenizer = tokenizer_of(source)
    check_lengths(source, prompts, [len(prompt_ids(tokenizer, prompt)) + config.max_completion for prompt in prompts])


def identity(config: GrpoConfig, inputs: Inputs, prompts: Sequence[Prompt]) -> Identity:
    """The identity of this run: its config, everything that it reads, and the rules that its rewards apply."""
    judges = {name: scores.version if scores else "none" for name, scores in _judges(config).items()}
    digests = inputs.digests() | judges | {"prompts": prompts_digest(prompts), "rules": load_rules().version}
    return Identity("grpo", config, digests, inputs.names())


def make_policy(config: GrpoConfig, inputs: Inputs, ranks: Ranks) -> Policy:
    """Load the policy and freeze its start as π_ref."""
    bfloat16 = config.precision == "bfloat16" and (config.lora is not None or ranks.accelerator is not None)
    device = (
        ranks.accelerator.device if ranks.accelerator else torch.device("cuda" if torch.cuda.is_available() else "cpu")
    )
    torch.manual_seed(config.seed)  # for the weights of a new adapter
    model, tokenizer = load_policy(
        inputs.policy, dtype=torch.bfloat16 if bfloat16 else torch.float32,  # DeepSpeed keeps its own float32 masters
        lora=config.lora, gradient_checkpointing=config.gradient_checkpointing, base=inputs.base,
    )  # fmt: skip
    model.to(device)
    use_shared_prompt_attention(model)
    reference = Reference(model) if config.beta > 0 else None
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=config.learning_rate, weight_decay=config.weight_decay)
    prepared, optimizer = ranks.prepare(model, optimizer)
    return Policy(prepared, model, tokenizer, reference, optimizer)


def make_rollout(config: GrpoConfig, inputs: Inputs, policy: Policy, prompts: Sequence[Prompt]) -> Rollout:
    """The engine that samples, with the policy's weights."""
    if config.rollout == "hf":
        return HfRollout(policy.plain, policy.tokenizer, max_completion=config.max_completion)
    from trainer.rollout.vllm import VllmRollout

    longest = max(len(prompt_ids(policy.tokenizer, prompt)) for prompt in prompts)
    engine = VllmRollout(
        base_of(inputs.policy, inputs.base), policy.tokenizer, config, longest_prompt=longest,
        ends=ends_of_text(policy.tokenizer, policy.plain.generation_config),
    )  # fmt: skip
    engine.push(merged_weights(policy.plain, changed=True))
    return engine


def make_rewards(config: GrpoConfig, inputs: Inputs, prompts: Sequence[Prompt]) -> Rewards:
    """The configured terms, and the held-out reward model and the second judge beside them."""
    judges = _judges(config)
    given = Given(prompts=prompts, reward_model=inputs.reward_model, cache=inputs.cache, judge=judges.get("judge"))
    second = judges.get("second_judge")
    return Rewards(
        build_terms(config.terms, given),
        config.terms.weights("sentence"),
        config.terms.weights("token"),
        held_out=_held_out(inputs),
        second_judge={"truth": Truth(second), "fluency": Fluency(second)} if second else {},
    )


def _judges(config: GrpoConfig) -> dict[str, JudgeScores | None]:
    """The judge and the second judge, where a term asks for one; None where none covers the language."""
    asked = config.terms.truth or config.terms.fluency
    return dict(zip(("judge", "second_judge"), judges_of(config.language), strict=True)) if asked else {}


def _held_out(inputs: Inputs) -> Term | None:
    folder = inputs.held_out_reward_model
    if folder is None:
        return None
    if inputs.reward_model and read_reward_model(folder).version == read_reward_model(inputs.reward_model).version:
        raise ConfigError(
            f"{folder} is the reward model itself: the held-out reward model must be one that no reward reads"
        )
    return Conversion.load(folder, inputs.cache, kappa=0.0)
