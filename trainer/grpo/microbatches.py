"""Which groups go through the model together. A group is never split: its prompt is laid out once."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.config import GrpoConfig
from trainer.forward.ids import Ids


def row_tokens(group: Ids, *, shared: bool) -> int:
    """Tokens that a group takes in a row: P + Σ R, or Σ (P + R) where prompts are not shared."""
    prompts = 1 if shared else len(group.completions)
    return prompts * len(group.prompt) + sum(map(len, group.completions))


def micro_batches(groups: Sequence[Ids], config: GrpoConfig) -> list[range]:
    """Numbers of the groups of each micro-batch, in order: config.micro_groups at a time, or as many as fit into
    config.micro_tokens. A group longer than that goes alone.
    """
    if config.micro_tokens is None:
        return [
            range(start, min(start + config.micro_groups, len(groups)))
            for start in range(0, len(groups), config.micro_groups)
        ]
    parts: list[range] = []
    used = 0
    for number, group in enumerate(groups):
        size = row_tokens(group, shared=config.shared_prompt)
        if parts and used + size <= config.micro_tokens:
            parts[-1], used = range(parts[-1].start, number + 1), used + size
        else:
            parts.append(range(number, number + 1))
            used = size
    return parts


def split_to(parts: Sequence[range], count: int) -> list[range]:
    """The micro-batches cut into `count`, the largest first: ranks that exchange gradients after every micro-batch need
    equally many. ValueError where there are fewer groups.
    """
    cut = list(parts)
    while len(cut) < count:
        at = max(range(len(cut)), key=lambda number: len(cut[number]))
        part = cut[at]
        if len(part) < 2:
            raise ValueError(f"{len(cut)} groups cannot be {count} micro-batches: give every rank as many groups")
        middle = part.start + len(part) // 2
        cut[at : at + 1] = [range(part.start, middle), range(middle, part.stop)]
    return cut
