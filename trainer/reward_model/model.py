"""Shared bottom and two heads over frozen embeddings of query, ad metadata and text; pCTCVR = pCTR · pCVR over the
entire space.

Ma et al., "Entire Space Multi-Task Model", SIGIR 2018, with Caruana's shared bottom in place of shared feature
embeddings alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from trainer.config import RewardConfig
from trainer.reward_model.surface import FEATURES

MAX_POSITIONS = 16  # later places share the last one's effect
_PAIRS = 8192  # pairs of strings whose vectors are multiplied at once


@dataclass(frozen=True)
class Batch:
    """B cells: indices into the embedding table, counts, the brief each belongs to."""

    query: Tensor
    ad: Tensor
    text: Tensor
    answer: Tensor  # [B, 2], see `answering`
    position: Tensor
    brief: Tensor
    impressions: Tensor
    clicks: Tensor
    conversions: Tensor | None

    def at(self, chosen: Tensor) -> Batch:
        """The chosen cells, in that order."""
        query, ad, text, answer, position = (
            column[chosen] for column in (self.query, self.ad, self.text, self.answer, self.position)
        )
        conversions = None if self.conversions is None else self.conversions[chosen]
        return Batch(
            query,
            ad,
            text,
            answer,
            position,
            self.brief[chosen],
            self.impressions[chosen],
            self.clicks[chosen],
            conversions,
        )


class SharedBottom(nn.Module):
    """[B] click logit and [B] conversion logit given a click.

    The first layer is linear in [query, ad, text], so it is taken once for every distinct string of a batch, and in how
    well the text answers: the cosines of its meaning with the query's and the ad's, which a layer of this width would
    not find by itself. The place of display moves the click logit only, by a number of its own; texts are scored at
    place 0: what the place did is not credited to the text.
    """

    def __init__(self, dim: int, config: RewardConfig) -> None:
        super().__init__()
        first, *rest = config.bottom
        self.query, self.ad, self.text = (nn.Linear(dim, first, bias=part == 2) for part in range(3))
        self.answer = nn.Linear(2, first, bias=False)
        self.bottom = nn.Sequential(nn.ReLU(), nn.Dropout(config.dropout), *_layers(first, rest, config.dropout))
        self.ctr, self.cvr = (
            nn.Sequential(
                *_layers(config.bottom[-1], config.tower, config.dropout),
                nn.Linear((*config.bottom, *config.tower)[-1], 1),
            )
            for _ in range(2)
        )
        self.place = nn.Parameter(torch.zeros(MAX_POSITIONS))

    def forward(
        self, vectors: Tensor, query: Tensor, ad: Tensor, text: Tensor, answer: Tensor, position: Tensor
    ) -> tuple[Tensor, Tensor]:
        """vectors [strings, dim]; query, ad, text [B] index it; answer [B, 2] of `answering`; position [B]."""
        mixed = (
            _of_each(self.query, vectors, query) + _of_each(self.ad, vectors, ad) + _of_each(self.text, vectors, text)
        )
        hidden = self.bottom(mixed + self.answer(answer))
        examined = self.place[position.clamp(max=MAX_POSITIONS - 1)] - self.place[0]
        return self.ctr(hidden).squeeze(1) + examined, self.cvr(hidden).squeeze(1)

    def start_at(self, ctr: Sequence[float], cvr: float) -> None:
        """Begin at the base rates: CTR by place, first place first, and CVR. The steps that training has are for the
        texts.
        """
        places = torch.logit(torch.tensor(ctr, dtype=torch.float32), eps=1e-6)
        with torch.no_grad():
            self.place.copy_(places - places[0])
        for head, rate in ((self.ctr, ctr[0]), (self.cvr, cvr)):
            last = head[-1]
            assert isinstance(last, nn.Linear)
            nn.init.constant_(last.bias, float(torch.logit(torch.tensor(rate), eps=1e-6)))


def answering(vectors: Tensor, config: RewardConfig, query: Tensor, ad: Tensor, text: Tensor) -> Tensor:
    """[B, 2] cosines of each text's meaning with its query's and its ad's: a fixed feature, taken once for every
    distinct pair.
    """
    meaning = vectors[:, : vectors.shape[1] - FEATURES * config.surface]
    columns = []
    for other in (query, ad):
        pairs, inverse = torch.unique(other * len(vectors) + text, return_inverse=True)
        left, right = pairs // len(vectors), pairs % len(vectors)
        cosines = [
            (meaning[i] * meaning[j]).sum(dim=1) for i, j in zip(left.split(_PAIRS), right.split(_PAIRS), strict=True)
        ]
        columns.append(torch.cat(cosines)[inverse])
    return torch.stack(columns, dim=1)


def entire_space_loss(click: Tensor, conversion: Tensor, batch: Batch) -> Tensor:
    """Mean over impressions of  -log P(click) - log P(click and conversion),  binomial in each cell's counts.

    click, conversion [B] logits. A cell of n impressions, c clicks, v conversions contributes
    -[c·log p + (n-c)·log(1-p)] - [v·log pq + (n-v)·log(1-pq)],  p = σ(click), q = σ(conversion): the loss of its n rows
        one by one.
    """
    losses = -(batch.clicks * logsigmoid(click) + (batch.impressions - batch.clicks) * logsigmoid(-click))
    if batch.conversions is not None:
        both = logsigmoid(click) + logsigmoid(conversion)  # log pCTCVR
        losses = (
            losses
            - batch.conversions * both
            - (batch.impressions - batch.conversions) * torch.log1p(-both.exp().clamp(max=1 - 1e-6))
        )
    return losses.sum() / batch.impressions.sum()


def ranking_loss(click: Tensor, conversion: Tensor, batch: Batch) -> Tensor:
    """Mean over clicks (and conversions) of the within-brief conditional likelihood: which of the brief's texts got it.

    -Σ c_i · [s_i + log n_i - logsumexp_j in brief(i) (s_j + log n_j)]: a brief's own level cancels, its texts' order
    remains. For two texts it is the pairwise logistic loss. s is log pCTR for clicks and log pCTCVR for conversions.
    """
    p_click = logsigmoid(click)
    total = _conditional(p_click, batch.clicks, batch)
    if batch.conversions is not None:
        total = total + _conditional(p_click + logsigmoid(conversion), batch.conversions, batch)
    return total


def _conditional(score: Tensor, counts: Tensor, batch: Batch) -> Tensor:
    _, segment = torch.unique(batch.brief, return_inverse=True)
    briefs = int(segment.max()) + 1
    offered = score + batch.impressions.log()
    top = torch.full((briefs,), -torch.inf).scatter_reduce(0, segment, offered.detach(), "amax")
    share = torch.zeros(briefs).index_add(0, segment, (offered - top[segment]).exp())
    chosen = offered - top[segment] - share.log()[segment]
    return -(counts * chosen).sum() / counts.sum().clamp(min=1.0)


def _of_each(layer: nn.Module, vectors: Tensor, index: Tensor) -> Tensor:
    distinct, inverse = torch.unique(index, return_inverse=True)
    return layer(vectors[distinct])[inverse]  # type: ignore[no-any-return]


def _layers(width: int, widths: Sequence[int], dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for out in widths:
        layers += [nn.Linear(width, out), nn.ReLU(), nn.Dropout(dropout)]
        width = out
    return layers
