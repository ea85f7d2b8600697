"""Rollouts with transformers, from the weights in training. A prompt is read once and its group is written side by
side:

    key-value cache of one row:  [prompt | step 1 of its texts | step 2 of its texts | …]

Each text sees the prompt and its own tokens, so the cache is P + G·R tokens per prompt instead of G·(P + R), as in the
shared-prompt forward.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from trainer.policy import decode
from trainer.rollout.base import Completion, Group
from trainer.tokens import end_of_text, ends_of_text

if TYPE_CHECKING:
    from trainer.prompts import Prompt

_SHARED = -1  # owner of a cache entry that every text of the row sees: the prompt
_NOBODY = -2  # padding


@dataclass
class _Row:
    """The texts in progress for one prompt."""

    group: int
    ids: list[list[int]]
    logprobs: list[list[float]]
    open: list[int] = field(default_factory=list)  # numbers of the texts that have not ended


class HfRollout:
    """Samples at temperature 1 from `model`, whose weights the trainer updates in place: nothing has to be pushed."""

    name = "hf"

    def __init__(self, model: Any, tokenizer: Any, *, max_completion: int) -> None:
        self._model, self._tokenizer, self._longest = model, tokenizer, max_completion
        self._padding = end_of_text(tokenizer)
        self._ends = ends_of_text(tokenizer, model.generation_config)

    def push(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Does nothing: the weights are shared with the trainer."""

    @torch.no_grad()
    def sample(
        self, prompts: Sequence[Prompt], prompt_ids: Sequence[Sequence[int]], group_size: int, *, seed: int
    ) -> list[Group]:
        """See `Rollout.sample`. All prompts are written in one batch."""
        training = self._model.training
        self._model.eval()
        try:
            rows = self._write(prompt_ids, group_size, torch.Generator(self._model.device).manual_seed(seed))
        finally:
            self._model.train(training)
        return [
            Group(prompt, tuple(ids), tuple(starmap(self._completion, zip(row.ids, row.logprobs, strict=True))))
            for prompt, ids, row in zip(prompts, prompt_ids, rows, strict=True)
        ]

    def _completion(self, ids: list[int], logprobs: list[float]) -> Completion:
        return Completion(tuple(ids), decode(self._tokenizer, ids), ids[-1] in self._ends, tuple(logprobs))

    def _write(self, prompt_ids: Sequence[Sequence[int]], group_size: int, random: torch.Generator) -> list[_Row]:
        rows = [
            _Row(number, [[] for _ in range(group_size)], [[] for _ in range(group_size)])
            for number in range(len(prompt_ids))
        ]
        logits, cache, owners, lengths = self._read(prompt_ids)
        logits = logits.expand(-1, group_size, -1)
        for row in rows:
            row.open = list(range(group_size))
        going = rows
        for step in range(self._longest):
            self._choose(going, logits, random)
            for row in going:
                row.open = [text for text in row.open if row.ids[text][-1] not in self._ends]
            alive = [at for at, row in enumerate(going) if row.open]
            if not alive or step == self._longest - 1:
                break
            if len(alive) < len(going):
                kept = torch.tensor(alive, device=owners.device)
                cache.batch_select_indices(kept)
                owners, lengths, going = owners[kept], lengths[kept], [going[at] for at in alive]
            logits, owners = self._forward(going, cache, owners, lengths + step)
        return rows

    def _read(self, prompt_ids: Sequence[Sequence[int]]) -> tuple[Tensor, Any, Tensor, Tensor]:
        """Logits after each prompt [P, 1, V], the cache, its entries' owners [P, L] and the prompts' lengths [P].
        Padded on the left.
        """
        from transformers import DynamicCache

        device = self._model.device
        longest = max(map(len, prompt_ids))
        ids = torch.tensor(
            [[self._padding] * (longest - len(prompt)) + list(prompt) for prompt in prompt_ids], device=device
        )
        real = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompt_ids], device=device)
        cache = DynamicCache()
        answer = self._model(
            input_ids=ids,
            attention_mask=real,
            position_ids=(real.cumsum(1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return answer.logits, cache, torch.where(real == 1, _SHARED, _NOBODY), real.sum(1)

    def _choose(self, rows: Sequence[_Row], logits: Tensor, random: torch.Generator) -> None:
        """Append one token to every open text. logits [rows, slots, V]; the slots of a row are its open texts in
        order.

        argmax(p / e) with e ~ Exp(1) is a draw from p (Gumbel-max): one pass, no cumulative sums.
        """
        log_p = torch.log_softmax(logits.float(), dim=-1)
        noise = torch.empty_like(log_p).exponential_(generator=random)
        chosen = (log_p.exp() / noise).argmax(dim=-1)
        taken = log_p.gather(-1, chosen[..., None])[..., 0].tolist()
        for row, tokens, values in zip(rows, chosen.tolist(), taken, strict=True):
            for slot, text in enumerate(row.open):
                row.ids[text].append(tokens[slot])
                row.logprobs[text].append(values[slot])

    def _forward(self, rows: Sequence[_Row], cache: Any, owners: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [rows, slots, V] after the last token of each open text, and the owners with these tokens among
        them.
        """
        device = owners.device
        slots = max(len(row.open) for row in rows)
        spare = [slots - len(row.open) for row in rows]
        ids = [
            [row.ids[text][-1] for text in row.open] + [self._padding] * none
            for row, none in zip(rows, spare, strict=True)
        ]
        texts = [row.open + [_NOBODY] * none for row, none in zip(rows, spare, strict=True)]
        writers = torch.tensor(texts, device=device)
        owners = torch.cat([owners, writers], dim=1)
        sees = (owners[:, None, :] == _SHARED) | (owners[:, None, :] == writers[:, :, None])
        answer = self._model(
            input_ids=torch.tensor(ids, device=device),
            attention_mask=sees[:, None],
            position_ids=positions[:, None].expand(-1, slots),
            past_key_values=cache,
            use_cache=True,
        )
        return answer.logits, owners
