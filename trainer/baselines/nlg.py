"""The NLG baseline: the advertiser's best logged texts first, then templates (RELATE §4.1.3, the historical production
model).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from adtext.brief import AdText
from adtext.prompt import write
from adtext.templates import compose
from trainer.prompts import Prompt
from trainer.reward_model.dataset import Cells

_PRIOR = 200.0  # impressions at the overall rate that every logged text starts with: a lucky rare one is not the best


@dataclass(frozen=True)
class Nlg:
    """Writes without a model. logged: texts by advertiser, best first."""

    logged: Mapping[str, Sequence[AdText]] = field(default_factory=dict)

    def write(self, prompt: Prompt, n: int, *, seed: int) -> list[str]:
        """Up to n completions: half of them logged texts where there are as many, the rest templates, which the seed
        varies.
        """
        known = self.logged.get(prompt.brief.ad.advertiser, ())[: n // 2]
        texts = dict.fromkeys([*known, *islice(compose(prompt.brief, prompt.spec, seed), n)])
        return [write(text, prompt.brief.language) for text in list(texts)[:n]]


def best_logged(cells: Cells) -> dict[str, list[AdText]]:
    """Every group's logged texts of two fields by click rate, smoothed toward the rate of all: (clicks + 200·p) /
    (impressions + 200).
    """
    overall = cells.clicks.sum() / cells.impressions.sum()
    best: dict[str, list[AdText]] = {}
    for group, name in enumerate(cells.groups):
        here = cells.group == group
        texts, number = np.unique(cells.text[here], return_inverse=True)
        clicks, shown = (np.bincount(number, weights=counts[here]) for counts in (cells.clicks, cells.impressions))
        order = np.argsort(-(clicks + _PRIOR * overall) / (shown + _PRIOR), kind="stable")
        best[name] = list(_two_fields(cells.strings[texts[at]] for at in order))
    return best


def _two_fields(strings: Iterator[str]) -> Iterator[AdText]:
    """Logged texts hold one field per line (trainer.snapshot.describe_text)."""
    for string in strings:
        lines = string.split("\n")
        if len(lines) == 2:
            yield AdText(title=lines[0], description=lines[1])
