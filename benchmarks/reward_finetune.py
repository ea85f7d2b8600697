"""Is the encoder's last layer worth fine-tuning? On real clicks: headline tests, by story group, the packaged MiniLM
frozen or not.

    python -m benchmarks.reward_finetune --data DIR

Both sides share everything but the learning rate of the last transformer layer: a linear score of the unit vector, the
within-test conditional likelihood of clicks (the reward model's ranking term), epochs chosen on a tenth of the story
groups; a fifth is judged.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn.functional import normalize

from benchmarks.goals import Goal, as_records, show
from benchmarks.headline_model import Packages, read_packages
from benchmarks.headlines import LEVELS, judged_pairs
from benchmarks.record import record
from trainer.bootstrap import bootstrap
from trainer.reward_model.dataset import share_of
from trainer.reward_model.embed import SentenceEncoder

EPOCHS, TESTS, MAX_TOKENS = 8, 64, 40  # most epochs, tests a batch, tokens a headline
HEAD_RATE, LAYER_RATE = 3e-2, 1e-4


@dataclass(frozen=True)
class Tokens:
    """Every headline up to the last layer: hidden [n, MAX_TOKENS, dim], mask [n, MAX_TOKENS]."""

    hidden: Tensor
    mask: Tensor


class LastLayer(nn.Module):
    """The encoder's last transformer layer, mean pooling, a unit vector, a linear score."""

    def __init__(self, layer: nn.Module, dim: int) -> None:
        super().__init__()
        self.layer = deepcopy(layer)
        self.score = nn.Linear(dim, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        hidden = self.layer(hidden, torch.where(mask[:, None, None] > 0, 0.0, torch.finfo(hidden.dtype).min))
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        pooled = (hidden * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return self.score(normalize(pooled, dim=1)).squeeze(1)  # type: ignore[no-any-return]


@torch.no_grad()
def up_to_last_layer(encoder: SentenceEncoder, headlines: tuple[str, ...]) -> tuple[Tokens, nn.Module]:
    transformer: Any = encoder.model[0]
    bert: Any = transformer.auto_model.eval()
    *layers, last = bert.encoder.layer
    parts = []
    for start in range(0, len(headlines), 256):
        text = list(headlines[start : start + 256])
        made = transformer.tokenizer(
            text, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        )
        hidden, mask = bert.embeddings(input_ids=made["input_ids"]), made["attention_mask"].float()
        for layer in layers:
            found = layer(hidden, torch.where(mask[:, None, None] > 0, 0.0, torch.finfo(hidden.dtype).min))
            hidden = found[0] if isinstance(found, tuple) else found
        parts.append((hidden.half(), mask))
    return Tokens(*(torch.cat(columns) for columns in zip(*parts, strict=True))), last


def conditional_loss(score: Tensor, test: Tensor, clicks: Tensor, impressions: Tensor) -> Tensor:
    """-Σ c_i · [s_i + log n_i - logsumexp of the test's] / Σ c: which package of a test each click was for."""
    _, segment = torch.unique(test, return_inverse=True)
    offered = score + impressions.log()
    share = torch.zeros(int(segment.max()) + 1).index_add(0, segment, offered.exp())
    return -(clicks * (offered - share.log()[segment])).sum() / clicks.sum()


def trained(
    tokens: Tokens, last: nn.Module, packages: Packages, side: dict[str, Any], layer_rate: float
) -> np.ndarray[Any, Any]:
    """[n] scores of every headline by the epoch that held-out tests like most."""
    torch.manual_seed(0)
    model = LastLayer(last, tokens.hidden.shape[2])
    groups = [{"params": model.score.parameters(), "lr": HEAD_RATE}]
    if layer_rate:
        groups.append({"params": model.layer.parameters(), "lr": layer_rate})
    optimiser = torch.optim.AdamW(groups, weight_decay=1e-2)
    best, kept = float("inf"), np.zeros(len(packages.headline))
    for epoch in range(EPOCHS):
        model.train(mode=layer_rate > 0)
        for rows in _batches(packages.test, side["training"], epoch):
            loss = _loss(model, tokens, packages, rows)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        model.eval()
        with torch.no_grad():
            held_out = float(_loss(model, tokens, packages, np.flatnonzero(side["tuning"])))
            if held_out < best:
                best = held_out
                tested = np.flatnonzero(side["tested"])
                kept[tested] = model(tokens.hidden[tested].float(), tokens.mask[tested]).numpy()
    return kept


def _loss(model: LastLayer, tokens: Tokens, packages: Packages, rows: Any) -> Tensor:
    clicks, impressions = (torch.from_numpy(values[rows]).float() for values in (packages.clicks, packages.impressions))
    return conditional_loss(
        model(tokens.hidden[rows].float(), tokens.mask[rows]),
        torch.from_numpy(packages.test[rows]),
        clicks,
        impressions,
    )


def _batches(test: Any, chosen: Any, epoch: int) -> Iterator[Any]:
    """Whole tests, TESTS at a time, in an order of the epoch's own."""
    tests = np.random.default_rng(epoch).permutation(np.unique(test[chosen]))
    for start in range(0, len(tests), TESTS):
        yield np.flatnonzero(chosen & np.isin(test, tests[start : start + TESTS]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    packages = read_packages(chosen.data)
    share = np.array([share_of(name, "finetune") for name in packages.group_names])[packages.group]
    side = {"tested": share < 0.2, "tuning": (share >= 0.2) & (share < 0.3), "training": share >= 0.3}
    encoder = SentenceEncoder()
    tokens, last = up_to_last_layer(encoder, packages.headline)
    scores = {
        name: trained(tokens, last, packages, side, rate)
        for name, rate in (("frozen", 0.0), ("fine-tuned", LAYER_RATE))
    }
    pairs = judged_pairs(packages)
    figures: dict[str, Any] = {}
    goals = []
    for level in LEVELS:
        judged = (pairs.p_value < level) & side["tested"][pairs.better]
        right = {
            name: (score[pairs.better] > score[pairs.worse])[judged].astype(float) for name, score in scores.items()
        }
        more = right["fine-tuned"] - right["frozen"]
        found = bootstrap(lambda w, more=more: float(np.average(more, weights=w)), pairs.group[judged], rounds=1000)  # type: ignore[misc]
        figures[f"p<{level}"] = {name: float(values.mean()) for name, values in right.items()} | {
            "pairs": int(judged.sum())
        }
        goals.append(
            Goal(
                f"accuracy at p < {level:g}, fine-tuned less frozen",
                found.value,
                "at least",
                0,
                found.low,
                found.high,
                sure=True,
            )
        )
    console = Console()
    show(console, "last layer", goals)
    console.print(figures)
    record("reward_finetune", {**figures, "goals": as_records(goals)}, ("torch", "sentence-transformers"), chosen.out)


if __name__ == "__main__":
    main()
