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
from torch.nn.functional import cross_entropy
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from trainer.baselines.resumable import SAVING, refuse_several_gpus, train
from trainer.config import ConfigError, SftConfig
from trainer.identity import Identity, policy_digests, prompts_digest
from trainer.policy import completion_ids, load_policy, prompt_ids
from trainer.prompts import Prompt
from trainer.source import base_of, check_lengths, tokenizer_of

IGNORED = -100  # the label that a loss leaves out


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
    torch.manual_seed(config.seed)  # of a fresh adapter
    model, tokenizer = load_policy(policy, dtype=getattr(torch, config.precision), lora=config.lora, base=base)
    trainer = _TextTrainer(
        model=model,
        args=_arguments(config, out / "checkpoints"),
        train_dataset=Dataset.from_list(rows),
        data_collator=lambda batch: shared_rows(batch, tokenizer.eos_token_id),
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
    """TRL's trainer, scoring only the texts: without a GPU its own head scores the whole prompt too, which doubles the
    cost.
    """

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Σ -log π over the learned tokens of this micro-batch, divided by their number in the whole step."""
        labels = inputs.pop("labels")[:, 1:]
        learned = (labels != IGNORED).any(dim=0).nonzero().squeeze(1)
        logits = model(**inputs, logits_to_keep=learned, use_cache=False).logits.float()
        loss = cross_entropy(logits.flatten(0, 1), labels[:, learned].flatten(), ignore_index=IGNORED, reduction="sum")
        return torch.as_tensor(loss / num_items_in_batch)


def shared_rows(batch: Sequence[Mapping[str, Any]], padding: int) -> dict[str, torch.Tensor]:
    """Rows [p_1 … p_P-1, p_P, y_1, p_P, y_2, …]: the prompt's last token stands before every text, for its first token
    is learned there.

    Returns input_ids, position_ids and labels [B, L] and a boolean attention_mask [B, 1, L, L]: a token sees the prompt
    and its own text.
    """
    laid = [_lay_out(row["prompt_ids"], row["texts"]) for row in batch]
    longest = max(len(ids) for ids, *_ in laid)
    ids, positions, labels, texts = (
        torch.tensor([[*row[part], *[fill] * (longest - len(row[part]))] for row in laid])
        for part, fill in ((0, padding), (1, 0), (2, IGNORED), (3, -1))
    )
    earlier = torch.ones(longest, longest, dtype=torch.bool).tril()
    sees = earlier & ((texts[:, None, :] == 0) | (texts[:, None, :] == texts[:, :, None]))
    return {"input_ids": ids, "position_ids": positions, "labels": labels, "attention_mask": sees[:, None]}


def _lay_out(
    prompt: Sequence[int], texts: Sequence[Sequence[int]]
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Ids, positions, labels and, of each token, the number of its text; 0 is the prompt."""
    *shared, last = prompt
    ids, positions = list(shared), list(range(len(shared)))
    labels, owners = [IGNORED] * len(shared), [0] * len(shared)
    for number, text in enumerate(texts, start=1):
        ids += [last, *text]
        positions += range(len(shared), len(shared) + 1 + len(text))
        labels += [IGNORED, *text]
        owners += [number] * (1 + len(text))
    return ids, positions, labels, owners


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
