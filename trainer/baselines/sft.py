"""Supervised fine-tuning on reference texts with TRL's trainer: the baseline, and the policy that GRPO starts from
(RELATE §4.1.3).

The references of a query share its prompt, so a query is one row: the prompt once, then every text, each blind to the
others. That is P + K·R tokens instead of K·(P + R), with the same loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset  # type: ignore[import-untyped]
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from trainer.baselines.resumable import SAVING, refuse_several_gpus, train
from trainer.config import ConfigError, SftConfig
from trainer.forward.attention import use_shared_prompt_attention
from trainer.forward.ids import Ids
from trainer.forward.layout import completion_logprobs, pack
from trainer.identity import Identity, policy_digests, prompts_digest
from trainer.policy import completion_ids, load_policy, prompt_ids
from trainer.prompts import Prompt
from trainer.source import base_of, check_lengths, tokenizer_of

IGNORED = -100  # the label of the first position, which the trainer never counts


def train_sft(policy: str, prompts: Sequence[Prompt], config: SftConfig, out: Path, *, base: str | None = None) -> Path:
    """Train `policy` on every reference of every prompt and save it in `out`; a killed run resumes from its newest
    whole checkpoint.

    The loss is -log π(text, end-of-text | prompt), mean over the tokens of a step; the prompt's own tokens are not
    learned. ConfigError before the model loads, also where `out` holds another run.
    """
    refuse_several_gpus()
    _refuse_without_references(prompts)
    source = base_of(policy, base)
    rows = _rows(tokenizer_of(source), prompts)
    check_lengths(source, prompts, [len(row["prompt_ids"]) + max(map(len, row["texts"])) for row in rows])
    digests = policy_digests(policy, base) | {"prompts": prompts_digest(prompts)}
    Identity("sft", config, digests, {"policy": policy, "base": source}).claim(out)
    torch.manual_seed(config.seed)  # a fresh adapter's weights are drawn at random
    model, tokenizer = load_policy(policy, dtype=getattr(torch, config.precision), lora=config.lora, base=base)
    use_shared_prompt_attention(model)
    trainer = _TextTrainer(
        model=model,
        args=_arguments(config, out / "checkpoints"),
        train_dataset=Dataset.from_list(rows),
        data_collator=collate,
        processing_class=tokenizer,
    )
    return train(trainer, tokenizer, out)


def _rows(tokenizer: Any, prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    """One row per query: the ids of its prompt and of each reference."""
    return [
        {"prompt_ids": prompt_ids(tokenizer, prompt),
         "texts": [completion_ids(tokenizer, text, prompt.brief.language) for text in prompt.references]}
        for prompt in prompts
    ]  # fmt: skip


def _refuse_without_references(prompts: Sequence[Prompt]) -> None:
    """ConfigError for queries that nothing can be learned from: their loss would be 0."""
    if bare := [prompt for prompt in prompts if not prompt.references]:
        raise ConfigError(
            f"{len(bare)} of {len(prompts)} queries have no reference text, the first is {bare[0].brief.query!r} of "
            f"{bare[0].brief.ad.advertiser}: add references, or leave these queries out"
        )


class _TextTrainer(SFTTrainer):
    """TRL's trainer, on the shared-prompt forward: only the texts are scored, each prompt is read once."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Σ -log π over the learned tokens of this micro-batch, divided by their number in the whole step."""
        groups = [Ids(row["prompt_ids"], row["texts"]) for row in inputs["rows"]]
        return torch.as_tensor(texts_loss(model, groups) / num_items_in_batch)


def texts_loss(model: Any, groups: Sequence[Ids]) -> torch.Tensor:
    """Σ -log π(text | prompt) over all tokens of all texts."""
    device = next(model.parameters()).device
    return -completion_logprobs(model, pack(groups, device=device)).logp.sum()


def collate(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The rows of a micro-batch, and labels: by them the trainer counts the learned tokens of a step."""
    learned = [token for row in rows for text in row["texts"] for token in text]
    return {"rows": list(rows), "labels": torch.tensor([[IGNORED, *learned]])}


def _arguments(config: SftConfig, checkpoints: Path) -> SFTConfig:
    return SFTConfig(
        output_dir=str(checkpoints),
        per_device_train_batch_size=config.micro_batch,
        gradient_accumulation_steps=config.batch_size // config.micro_batch,
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=config.warmup_steps,
        max_grad_norm=1.0,
        gradient_checkpointing=config.gradient_checkpointing,
        bf16=False,  # the weights already have the precision of the config
        use_cpu=not torch.cuda.is_available(),
        **SAVING,
        logging_steps=1,
        report_to="none",
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        seed=config.seed,
    )
