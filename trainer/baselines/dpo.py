"""Two-stage alignment, the way RELATE replaces (§1): preference pairs of a fine-tuned policy's own texts, then DPO with
TRL's trainer.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset  # type: ignore[import-untyped]
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from adtext.brief import AdText
from adtext.checks import is_compliant
from trainer.adapter import Adapter
from trainer.baselines.resumable import SAVING, refuse_several_gpus, train
from trainer.config import DpoConfig
from trainer.identity import Identity, content_digest, policy_digests
from trainer.policy import TRAINED, completion_ids, is_adapted, load_policy, prompt_ids
from trainer.prompts import Prompt
from trainer.reward_model.score import RewardModel, Triple
from trainer.rewards.base import Sample
from trainer.source import base_of, check_lengths, tokenizer_of


@dataclass(frozen=True, slots=True)
class Preference:
    """Two texts for one prompt, the first predicted to convert better."""

    prompt: Prompt
    chosen: AdText
    rejected: AdText


def preferences(samples: Sequence[Sample], model: RewardModel) -> list[Preference]:
    """Of every prompt's compliant samples, the one of highest and the one of lowest predicted CTCVR; a prompt with
    fewer than two of different prediction has no pair.

    Compliance is required of both sides: a pair must not teach that a broken text loses by its click rate. A text that
    the token limit cut off is no side of a pair: training writes an end behind each.
    """
    pairs = []
    for prompt, own in groupby(samples, key=lambda sample: sample.prompt):
        texts = list(dict.fromkeys(sample.text for sample in own if sample.text and _whole(sample)))
        if len(texts) < 2:
            continue
        logits = model.score([Triple.of(prompt.brief, text) for text in texts]).logit
        if logits.max() > logits.min():
            pairs.append(Preference(prompt, texts[int(logits.argmax())], texts[int(logits.argmin())]))
    return pairs


def _whole(sample: Sample) -> bool:
    return not sample.cut and is_compliant(sample.findings)


def check_dpo(policy: str, config: DpoConfig, base: str | None = None) -> None:
    """ConfigError for a start that cannot be trained from, before it is sampled."""
    refuse_several_gpus()
    adapter = Adapter.read(Path(policy))
    if adapter and config.lora:
        adapter.check(config.lora)
    tokenizer_of(base_of(policy, base))


def train_dpo(
    policy: str, pairs: Sequence[Preference], config: DpoConfig, out: Path, *, base: str | None = None
) -> Path:
    """Train `policy` on the pairs and save it in `out`; the reference is the policy as it was given.

    A killed run resumes from its newest whole checkpoint. ConfigError before the model loads, also where `out` holds
    another run.

    L = -log σ(β·[log π/π_ref(chosen) - log π/π_ref(rejected)])      Rafailov et al. 2023.  ValueError without a pair.
    """
    if not pairs:
        raise ValueError(
            "0 preference pairs: too few compliant samples to learn from; fine-tune the policy first (relate train sft)"
        )
    check_dpo(policy, config, base)
    source = base_of(policy, base)
    rows = _rows(tokenizer_of(source), pairs)
    longest = [len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"])) for row in rows]
    check_lengths(source, [pair.prompt for pair in pairs], longest)
    digests = policy_digests(policy, base) | {"pairs": content_digest(rows)}
    Identity("dpo", config, digests, {"policy": policy, "base": source}).claim(out)
    torch.manual_seed(config.seed)  # a fresh adapter's weights are drawn at random
    model, tokenizer = load_policy(policy, dtype=getattr(torch, config.precision), lora=config.lora, base=base)
    trainer = _IdsTrainer(
        model=model,
        # TRL would load the reference of a whole model by its name: that of a merged adapter is its base's
        ref_model=None if is_adapted(model) else copy.deepcopy(model),
        args=_arguments(config, out / "checkpoints"),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    return train(trainer, tokenizer, out)


def _rows(tokenizer: Any, pairs: Sequence[Preference]) -> list[dict[str, list[int]]]:
    return [
        {"prompt_ids": prompt_ids(tokenizer, pair.prompt),
         "chosen_ids": completion_ids(tokenizer, pair.chosen, pair.prompt.brief.language),
         "rejected_ids": completion_ids(tokenizer, pair.rejected, pair.prompt.brief.language)}
        for pair in pairs
    ]  # fmt: skip


class _IdsTrainer(DPOTrainer):
    """TRL's trainer on ids that were made before, by the same functions as for the other trainers."""

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """The adapter that is trained; of two adapters transformers would load the reference alone."""
        adapted: Any = self.model
        if is_adapted(adapted):
            adapted.load_adapter(resume_from_checkpoint, TRAINED, is_trainable=True)
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)


def _arguments(config: DpoConfig, checkpoints: Path) -> DPOConfig:
    return DPOConfig(
        output_dir=str(checkpoints),
        beta=config.beta,
        per_device_train_batch_size=config.micro_batch,
        gradient_accumulation_steps=config.batch_size // config.micro_batch,
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        gradient_checkpointing=config.gradient_checkpointing,
        bf16=False,  # the weights already have the precision of the config
        use_cpu=not torch.cuda.is_available(),
        **SAVING,
        logging_steps=1,
        report_to="none",
        max_length=None,
        seed=config.seed,
    )
