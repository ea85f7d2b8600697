"""Train an ensemble's members, one after the other; each can be stopped after any epoch and resumes to the same
bits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.config import ConfigError, RewardConfig
from trainer.durable import write_file
from trainer.reward_model.dataset import Cells, refuse_shared_groups
from trainer.reward_model.model import MAX_POSITIONS, Batch, SharedBottom, answering, entire_space_loss, ranking_loss

log = logging.getLogger(__name__)

BLOCK = 8  # cells of one text that a batch holds together
_DOUBT = 1000.0  # impressions that the overall rate counts for at a place

Watch = Callable[[int, int, float, float], None]  # member, epoch, training loss, held-out loss


class DivergedError(RuntimeError):
    """A loss that is not finite. The message names the member and the epoch."""


@dataclass
class MemberState:
    """Everything that one member's training resumes from."""

    model: SharedBottom
    optimiser: torch.optim.Optimizer
    order: torch.Generator  # random order of the batches
    best: dict[str, Tensor]
    best_loss: float = float("inf")
    epoch: int = 0  # epochs done
    worse: int = 0  # epochs since the best

    def finished(self, config: RewardConfig) -> bool:
        return self.epoch >= config.epochs or self.worse >= config.patience


def train_ensemble(
    training: Cells,
    held_out: Cells,
    vectors: Tensor,
    config: RewardConfig,
    *,
    watch: Watch | None = None,
    checkpoints: Path | None = None,
    run: str = "",
) -> list[SharedBottom]:
    """The trained members. vectors [len(strings), dim].

    checkpoints: a folder to keep each member's state in after every epoch, and to resume from. run: names data and
    encoder; a checkpoint of another run or config is refused.
    """
    refuse_shared_groups(training, held_out)
    check = as_batch(held_out, vectors, config)
    members = []
    for number in range(config.members):
        cells = resampled(training, config.seed * 1000 + number) if config.bootstrap else training
        path = checkpoints / f"member-{number}.pt" if checkpoints else None
        with torch.random.fork_rng(devices=[]):
            state = _start(cells, vectors, config, number)
            whole = as_batch(cells, vectors, config)
            if path and path.exists():
                _resume(state, path, config, run)
            while not state.finished(config):
                loss = _epoch(state, whole, vectors, config)
                held_out_loss = _loss_without_training(state.model, check, vectors)
                if not np.isfinite(loss + held_out_loss):
                    raise DivergedError(
                        f"member {number}, epoch {state.epoch}: loss is {loss}: lower learning_rate "
                        f"{config.learning_rate}"
                    )
                _keep_best(state, held_out_loss)
                if path:
                    _save(state, path, config, run)
                if watch:
                    watch(number, state.epoch, loss, held_out_loss)
        state.model.load_state_dict(state.best)
        members.append(state.model.eval())
    return members


def resampled(cells: Cells, seed: int) -> Cells:
    """A bootstrap sample of groups: each drawn group's counts as often as it was drawn (Efron 1979)."""
    draws = np.random.default_rng(seed).multinomial(
        len(cells.groups), np.full(len(cells.groups), 1 / len(cells.groups))
    )
    times = draws[cells.group].astype(np.float64)
    drawn = cells.where(times > 0)
    times = times[times > 0]
    conversions = None if drawn.conversions is None else drawn.conversions * times
    return Cells(
        drawn.strings,
        drawn.groups,
        drawn.query,
        drawn.ad,
        drawn.text,
        drawn.group,
        drawn.position,
        drawn.impressions * times,
        drawn.clicks * times,
        conversions,
    )


def as_batch(cells: Cells, vectors: Tensor, config: RewardConfig) -> Batch:
    """All cells as one batch of tensors."""

    def counts(values: Any) -> Tensor:
        return torch.from_numpy(np.asarray(values, dtype=np.float32))

    indices = (cells.query, cells.ad, cells.text, cells.position, cells.brief)
    query, ad, text, position, brief = (torch.from_numpy(column.copy()) for column in indices)
    conversions = None if cells.conversions is None else counts(cells.conversions)
    answer = answering(vectors, config, query, ad, text)
    return Batch(query, ad, text, answer, position, brief, counts(cells.impressions), counts(cells.clicks), conversions)


def predict(model: SharedBottom, batch: Batch, vectors: Tensor) -> tuple[Tensor, Tensor]:
    logits: tuple[Tensor, Tensor] = model(vectors, batch.query, batch.ad, batch.text, batch.answer, batch.position)
    return logits


def batches(whole: Batch, size: int, order: torch.Generator, *, by_brief: bool) -> Iterator[Batch]:
    """Batches of `size` cells: blocks of cells in random order, or, by_brief, briefs in random order, the cells of
    each together, so that they compete. A block holds a few cells of one text, whose vectors are then projected once
    for all of them.
    """
    rank = torch.rand(len(whole.brief), generator=order, dtype=torch.float64)
    block = whole.brief if by_brief else _blocks(whole.text, rank)
    rank += torch.randperm(int(block.max()) + 1, generator=order)[block]
    for chosen in torch.split(torch.argsort(rank), size):
        yield whole.at(chosen)


def _blocks(text: Tensor, rank: Tensor) -> Tensor:
    """[N] number of a cell's block: BLOCK cells of one text, drawn by rank."""
    order = torch.argsort(text + rank)
    texts = text[order]
    first = torch.searchsorted(texts, texts)
    block = torch.empty_like(text)
    block[order] = torch.unique(texts * len(text) + (torch.arange(len(text)) - first) // BLOCK, return_inverse=True)[1]
    return block


def _start(cells: Cells, vectors: Tensor, config: RewardConfig, number: int) -> MemberState:
    seed = config.seed * 1000 + number
    torch.manual_seed(seed)
    model = SharedBottom(vectors.shape[1], config)
    clicks, conversions = cells.clicks.sum(), 0.0 if cells.conversions is None else cells.conversions.sum()
    model.start_at(_ctr_by_place(cells), conversions / max(clicks, 1.0))
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    return MemberState(model, optimiser, torch.Generator().manual_seed(seed), best=deepcopy(model.state_dict()))


def _ctr_by_place(cells: Cells) -> list[float]:
    """Click rate at each place, drawn towards the overall rate where few impressions say it."""
    place = np.minimum(cells.position, MAX_POSITIONS - 1)
    shown, clicked = (
        np.bincount(place, weights=count, minlength=MAX_POSITIONS) for count in (cells.impressions, cells.clicks)
    )
    overall = clicked.sum() / shown.sum()
    return [float(rate) for rate in (clicked + overall * _DOUBT) / (shown + _DOUBT)]


def _epoch(state: MemberState, whole: Batch, vectors: Tensor, config: RewardConfig) -> float:
    state.model.train()
    total = torch.zeros(())
    for batch in batches(whole, config.batch_cells, state.order, by_brief=config.ranking_weight > 0):
        click, conversion = predict(state.model, batch, vectors)
        loss = entire_space_loss(click, conversion, batch)
        total += loss.detach() * batch.impressions.sum()
        if config.ranking_weight:
            loss = loss + config.ranking_weight * ranking_loss(click, conversion, batch)
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimiser.step()
    state.epoch += 1
    return float(total / whole.impressions.sum())


@torch.no_grad()
def _loss_without_training(model: SharedBottom, batch: Batch, vectors: Tensor) -> float:
    model.eval()
    return float(entire_space_loss(*predict(model, batch, vectors), batch))


def _keep_best(state: MemberState, loss: float) -> None:
    if loss < state.best_loss:
        state.best_loss, state.best, state.worse = loss, deepcopy(state.model.state_dict()), 0
    else:
        state.worse += 1


def _save(state: MemberState, path: Path, config: RewardConfig, run: str) -> None:
    """Keep what a killed run resumes from."""
    content = {
        "run": run,
        "config": config.model_dump(mode="json"),
        "epoch": state.epoch,
        "worse": state.worse,
        "best_loss": state.best_loss,
        "best": state.best,
        "model": state.model.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "order": state.order.get_state(),
        "random": torch.get_rng_state(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, lambda partial: torch.save(content, partial))


def _resume(state: MemberState, path: Path, config: RewardConfig, run: str) -> None:
    try:
        content: Mapping[str, Any] = torch.load(path, weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        log.warning("%s cannot be read (%s): this member is trained from its start", path, type(error).__name__)
        return
    changed = [name for name, value in config.model_dump(mode="json").items() if content["config"].get(name) != value]
    if changed or content["run"] != run:
        what = f"settings ({', '.join(changed)})" if changed else "data or encoder"
        raise ConfigError(f"{path} was made with other {what}: resume with the same, or name a new folder")
    state.model.load_state_dict(content["model"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.order.set_state(content["order"])
    torch.set_rng_state(content["random"])
    state.best, state.best_loss, state.epoch, state.worse = (
        content[name] for name in ("best", "best_loss", "epoch", "worse")
    )
