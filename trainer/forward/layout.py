"""The shared-prompt row: `[prompt, y_1 … y_G]` laid out once per group, and log π of every sampled token read from it.

P + G·R tokens go through the model instead of G·(P + R), with the same gradient: each completion sees the prompt and
itself, and has the positions that it would have alone after the prompt. Several groups can follow each other in a row;
they do not see each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainer.forward.attention import NAME, Blocks
from trainer.forward.ids import Ids
from trainer.forward.logprobs import selected_logprobs


@dataclass(frozen=True, slots=True)
class Layout:
    """Groups in one row of L tokens; M sampled tokens of N texts, at most T in one."""

    ids: Tensor  # [1, L]
    positions: Tensor  # [1, L]
    visible: Tensor  # [1, 1, L, L] bool, query by key
    blocks: Blocks  # the same visibility, block by block
    predictors: Tensor  # [K] positions in the row whose logits are needed; a group's first tokens share one
    predicted_by: Tensor  # [M] which of the predictors predicts a token
    sampled: Tensor  # [M] the sampled ids, text by text
    mask: Tensor  # [N, T] bool: True on sampled tokens


class TokenLogprobs(NamedTuple):
    """The log-probabilities of N texts of at most T tokens, padded with zeros."""

    logp: Tensor  # [N, T] log π(y_t | x, y_<t), float32
    mask: Tensor  # [N, T] bool
    entropy: Tensor  # [N, T] entropy of π(· | x, y_<t) in nats; no gradient


def pack(groups: Sequence[Ids], *, device: torch.device | str = "cpu", shared: bool = True) -> Layout:
    """The row of these groups, texts in the groups' order. With shared=False the prompt is repeated before every
    completion.

    An empty completion keeps its row of the mask and nothing else. ValueError for an empty prompt: nothing would
    predict a first token.
    """
    if empty := [number for number, group in enumerate(groups) if not group.prompt]:
        raise ValueError(
            f"group {empty[0]} has an empty prompt: its first tokens have no predictor; render the prompt with its "
            "chat template"
        )
    if not shared:
        groups = [Ids(prompt, [completion]) for prompt, completions in groups for completion in completions]

    row = _Row()
    for group in groups:
        row.add(group)
    segments, owners, positions = (torch.tensor(column) for column in (row.segments, row.owners, row.positions))
    order = torch.arange(len(row.ids))
    sees = (segments[:, None] == segments) | (owners[:, None] == segments)  # its own segment, and the one before it
    visible = sees & (order[:, None] >= order)
    lengths = torch.tensor([len(text) for text in row.texts])
    longest = max(int(lengths.max()), 1)
    layout = Layout(
        ids=torch.tensor([row.ids]),
        positions=positions[None],
        visible=visible[None, None],
        blocks=_blocks(row),
        predictors=torch.tensor(row.predictors),
        predicted_by=torch.tensor(row.predicted_by, dtype=torch.long),
        sampled=torch.tensor([token for text in row.texts for token in text], dtype=torch.long),
        mask=torch.arange(longest) < lengths[:, None],
    )
    return _to(layout, torch.device(device))


def completion_logprobs(model: Any, layout: Layout, *, temperature: float = 1.0) -> TokenLogprobs:
    """log π of every sampled token, with its gradient. Logits are made at predicting positions only, never inside
    prompts.

    ValueError for an attention that cannot read a boolean mask of any shape (FlashAttention, eager), and for a sliding
    window shorter than the longest text.
    """
    _refuse_unmasked_attention(model, int(layout.positions.max()) + 1)
    logits = model(
        input_ids=layout.ids,
        attention_mask=layout.visible,
        position_ids=layout.positions,
        logits_to_keep=layout.predictors,
        use_cache=False,
        **{NAME: layout.blocks},
    ).logits[0]
    logp, entropy = selected_logprobs(logits, layout.predicted_by, layout.sampled, temperature)
    padded = torch.zeros(layout.mask.shape, dtype=logp.dtype, device=logp.device)
    return TokenLogprobs(
        padded.masked_scatter(layout.mask, logp), layout.mask, padded.masked_scatter(layout.mask, entropy)
    )


class _Row:
    """A row as it grows, group by group. A segment is one prompt or one completion."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.segments: list[int] = []  # the segment of every token
        self.owners: list[int] = []  # the segment that every token follows: the prompt's, or its own
        self.prompts: list[range] = []  # positions in the row
        self.completions: list[range] = []
        self.prompt_of: list[int] = []  # the prompt of every completion
        self.texts: list[Sequence[int]] = []
        self.predictors: list[int] = []
        self.predicted_by: list[int] = []
        self._segment = 0

    def add(self, group: Ids) -> None:
        prompt, prompt_segment = self._append(group.prompt, 0, self._segment), self._segment - 1
        self.prompts.append(prompt)
        self.predictors.append(prompt[-1])
        first = len(self.predictors) - 1
        for completion in group.completions:
            places = self._append(completion, len(group.prompt), prompt_segment)
            self.completions.append(places)
            self.prompt_of.append(len(self.prompts) - 1)
            self.texts.append(completion)
            if completion:
                later = range(len(self.predictors), len(self.predictors) + len(completion) - 1)
                self.predicted_by += [first, *later]
                self.predictors += places[:-1]

    def _append(self, ids: Sequence[int], position: int, owner: int) -> range:
        places = range(len(self.ids), len(self.ids) + len(ids))
        self.ids += ids
        self.positions += range(position, position + len(ids))
        self.segments += [self._segment] * len(ids)
        self.owners += [owner] * len(ids)
        self._segment += 1
        return places


def _blocks(row: _Row) -> Blocks:
    prompt_at, in_prompt = _padded(row.prompts)
    completion_at, _ = _padded(row.completions)
    prompt_of = torch.tensor(row.prompt_of)
    longest = completion_at.shape[1]
    own = torch.ones(longest, longest, dtype=torch.bool).tril()
    # prompts of one length: one mask for all texts
    prompts_seen = in_prompt[:1] if in_prompt.all() else in_prompt[prompt_of]
    texts = len(prompts_seen)
    visible = torch.cat((prompts_seen[:, None].expand(texts, longest, -1), own.expand(texts, -1, -1)), dim=2)
    back = torch.empty(len(row.ids), dtype=torch.long)
    for at, offset, segments in ((prompt_at, 0, row.prompts), (completion_at, prompt_at.numel(), row.completions)):
        for number, places in enumerate(segments):
            start = offset + number * at.shape[1]
            back[places.start : places.stop] = torch.arange(start, start + len(places))
    return Blocks(prompt_at, completion_at, prompt_of, visible[:, None], back)


def _padded(segments: Sequence[range]) -> tuple[Tensor, Tensor]:
    """The segments' positions [n, longest], and a mask [n, longest] that is False on padding."""
    lengths = torch.tensor([len(places) for places in segments])
    inside = torch.arange(max(int(lengths.max()), 1)) < lengths[:, None]
    starts = torch.tensor([places.start for places in segments])
    return torch.where(inside, starts[:, None] + torch.arange(inside.shape[1]), 0), inside


def _to(layout: Layout, device: torch.device) -> Layout:
    moved = {name: getattr(layout, name).to(device) for name in Layout.__slots__ if name != "blocks"}
    return Layout(**moved, blocks=Blocks(*(tensor.to(device) for tensor in layout.blocks)))


def _refuse_unmasked_attention(model: Any, longest: int) -> None:
    config = getattr(model, "module", model).config
    attention = config._attn_implementation
    if attention not in (NAME, "sdpa"):
        raise ValueError(
            f"attention {attention!r} cannot read the mask that keeps a prompt's completions apart: load the model "
            "with 'sdpa'"
        )
    window = getattr(config, "sliding_window", None)
    if window and window < longest and getattr(config, "use_sliding_window", True):
        raise ValueError(
            f"a sliding window of {window} is shorter than a text of {longest} tokens: shorten the prompt, or use "
            "another model"
        )
