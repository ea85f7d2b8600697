"""The two sides that benchmarks.grpo compares: our step, and TRL's GRPOTrainer driven by hand. One group is a
micro-batch on both.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from adtext.prompt import render
from adtext.rules import load_rules
from trainer.config import GrpoConfig
from trainer.credit import token_rewards
from trainer.forward.ids import Ids
from trainer.grpo.advantage import sentence_advantages, token_advantages
from trainer.grpo.step import optimise
from trainer.policy import Reference, load_policy, prompt_ids
from trainer.prompts import Prompt
from trainer.rewards import Rewards, Term, read
from trainer.rewards.diversity import Diversity
from trainer.rewards.risk import Correctness, Risk
from trainer.rewards.structure import Format, Length
from trainer.rollout.hf import HfRollout

GROUP_SIZE, BETA, LEARNING_RATE, MAX_NORM = 5, 0.02, 1e-6, 1.0
WEIGHTS: Mapping[str, float] = {"length": 0.5, "format": 0.5}
PENALTIES: Mapping[str, float] = {"correctness": 2.0, "risk": 2.0, "diversity": 0.5}
NEVER = "<gh_stars>"  # ends a text here: no policy writes it, so all texts are of the longest length on both sides


class Side(Protocol):
    def optimise(self, batch: Sequence[Ids], advantages: Tensor) -> None:
        """The optimisation phase on given texts: reference forward, policy forward and backward, clipping, AdamW."""

    def whole_step(self, prompts: Sequence[Prompt], longest: int) -> float:
        """Rollout with transformers, rewards, credit and the optimisation phase; returns the seconds that credit
        took.
        """


class Ours:
    def __init__(self, folder: Path, device: str, precision: Any) -> None:
        self.model, self.tokenizer = load_policy(folder)
        self.model.to(device)
        self.tokenizer.eos_token = NEVER
        self.precision, self.rules, self.steps = precision, load_rules(), 0
        self.reference, self.optimizer = Reference(self.model), _adamw(self.model)
        self.rewards = Rewards(terms(), WEIGHTS, PENALTIES)

    def optimise(self, batch: Sequence[Ids], advantages: Tensor) -> None:
        config = GrpoConfig(
            beta=BETA,
            precision=self.precision,
            max_grad_norm=MAX_NORM,
            max_completion=advantages.shape[1],
            batch_size=len(advantages),
        )
        optimise(self.model, self.optimizer, batch, advantages, config, reference=self.reference)

    def whole_step(self, prompts: Sequence[Prompt], longest: int) -> float:
        self.steps += 1
        rollout = HfRollout(self.model, self.tokenizer, max_completion=longest)
        ids = [prompt_ids(self.tokenizer, prompt) for prompt in prompts]
        groups = rollout.sample(prompts, ids, GROUP_SIZE, seed=self.steps)
        samples = [
            read(group.prompt, completion.text, self.rules) for group in groups for completion in group.completions
        ]
        self.rewards.observe(samples)
        scored = self.rewards.score(samples)

        began = perf_counter()
        texts = [text for group in groups for text in group.completions]
        charges = np.zeros((len(texts), longest), dtype=np.float32)
        for row, text, sample, priced in zip(charges, texts, samples, scored.charges, strict=True):
            row[: len(text.ids)] = token_rewards(self.tokenizer, text.ids, sample.text, priced)
        sentence = sentence_advantages(torch.as_tensor(scored.sentence, dtype=torch.float32).view(-1, GROUP_SIZE))
        advantages = token_advantages(sentence.flatten(), torch.from_numpy(charges), alpha=1.0)
        credit = perf_counter() - began

        self.optimise([group.ids for group in groups], advantages)
        return credit


class Trl:
    """TRL's own generation, reference pass, loss and clipping; only the loop around them is ours, so nothing else is
    timed.
    """

    def __init__(self, folder: Path, device: str, precision: str, scratch: Path, *, prompts: int, longest: int) -> None:
        from datasets import Dataset  # type: ignore[import-untyped]
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from trl import GRPOConfig, GRPOTrainer  # type: ignore[attr-defined]

        self.device, self.rules = device, load_rules()
        self.prompts: dict[str, Prompt] = {}  # by query
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.eos_token = NEVER
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        self.rewards = Rewards(terms(), WEIGHTS, {})
        settings = GRPOConfig(
            output_dir=str(scratch),
            per_device_train_batch_size=GROUP_SIZE,
            num_generations=GROUP_SIZE,
            max_completion_length=longest,
            gradient_accumulation_steps=prompts,
            beta=BETA,
            loss_type="dr_grpo",
            use_bias_correction_kl=False,
            temperature=1.0,
            bf16=precision == "bfloat16",
            gradient_checkpointing=False,
            report_to=[],
            use_cpu=device == "cpu",
            model_init_kwargs={"dtype": "float32"},
        )
        score: Any = self._score
        self.trainer: Any = GRPOTrainer(
            model,
            reward_funcs=score,
            args=settings,
            processing_class=tokenizer,
            train_dataset=Dataset.from_dict({"prompt": ["a"] * GROUP_SIZE * prompts}),
        )
        self.model, self.optimizer = self.trainer.accelerator.prepare(self.trainer.model, _adamw(self.trainer.model))
        self.model.train()

    def optimise(self, batch: Sequence[Ids], advantages: Tensor) -> None:
        self.trainer.max_completion_length = advantages.shape[1]
        rows = [self._inputs(group, own) for group, own in zip(batch, torch.split(advantages, GROUP_SIZE), strict=True)]
        for inputs in rows:
            ids, mask = (
                torch.cat([inputs[f"prompt_{part}"], inputs[f"completion_{part}"]], dim=1) for part in ("ids", "mask")
            )
            with torch.no_grad():
                scored = self.trainer._get_per_token_logps_and_entropies(
                    self.trainer.ref_model, ids, mask, advantages.shape[1]
                )
            inputs["ref_per_token_logps"] = scored[0]
        self._learn(rows)

    def whole_step(self, prompts: Sequence[Prompt], longest: int) -> float:
        from trl.trainer.utils import split_tensor_dict

        self.prompts = {prompt.brief.query: prompt for prompt in prompts}
        inputs = [
            {"prompt": render(prompt.brief, prompt.spec), "query": prompt.brief.query}
            for prompt in prompts
            for _ in range(GROUP_SIZE)
        ]
        batch = self.trainer._generate_and_score_completions(inputs)
        self._learn(split_tensor_dict(batch, len(prompts)))
        return 0.0

    def _learn(self, rows: Sequence[dict[str, Any]]) -> None:
        self.trainer.current_gradient_accumulation_steps = len(rows)
        for inputs in rows:
            with self.trainer.compute_loss_context_manager():
                loss = self.trainer._compute_loss(self.model, inputs)
            self.trainer.accelerator.backward(loss)
        self.trainer.accelerator.clip_grad_norm_(self.model.parameters(), MAX_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _inputs(self, group: Ids, advantages: Tensor) -> dict[str, Tensor]:
        prompts = torch.tensor([list(group.prompt)] * GROUP_SIZE, device=self.device)
        completions = torch.tensor([list(text) for text in group.completions], device=self.device)
        return {
            "prompt_ids": prompts,
            "prompt_mask": torch.ones_like(prompts),
            "completion_ids": completions,
            "completion_mask": torch.ones_like(completions),
            "advantages": advantages.to(self.device),
        }

    def _score(self, completions: list[Any], query: list[str], **_: Any) -> list[float]:
        """The same terms as ours, checks included."""
        samples = [
            read(self.prompts[number], text[0]["content"], self.rules)
            for number, text in zip(query, completions, strict=True)
        ]
        return [float(value) for value in self.rewards.score(samples).sentence]


def terms() -> dict[str, Term]:
    """Every term that needs no model."""
    return {
        "length": Length(),
        "format": Format(),
        "correctness": Correctness(),
        "risk": Risk(),
        "diversity": Diversity(),
    }


def _adamw(model: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0, fused=True)


def quieten() -> None:
    """TRL says on import that it does not know this vLLM, which neither side uses here."""
    warnings.filterwarnings("ignore", message="TRL currently supports vLLM")
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
