"""How much the simulated users would give at best, and how much of it a policy gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from rich.console import Console
from rich.table import Table

from adtext.brief import AdText
from benchmarks.market.ads import rewordings
from benchmarks.market.users import Users
from benchmarks.market.version import market_hash
from trainer.evaluation.metrics import Measured
from trainer.prompts import Prompt

CANDIDATES = 16


@dataclass(frozen=True)
class Ceiling:
    """Mean true CTCVR over queries: of the references, and of the best of 16 texts by the truth."""

    references: float
    best: float


@dataclass(frozen=True)
class Standing:
    """A policy's mean true CTCVR, its shares of the ceiling, and complaints per conversion."""

    ctcvr: float
    share_of_references: float
    share_of_best: float
    complaints: float


def ceiling(users: Users, prompts: Sequence[Prompt]) -> Ceiling:
    """The 16 candidates of a query are its references, their crossings, and rewordings of them in drawn order."""
    references, best = [], []
    for number, prompt in enumerate(prompts):
        texts = candidates(prompt, prompts[number - 1], number)
        found = users.of_briefs([prompt.brief] * len(texts), texts).ctcvr
        references.append(found[: len(prompt.references)].mean())
        best.append(found.max())
    return Ceiling(float(np.mean(references)), float(np.mean(best)))


def candidates(prompt: Prompt, other: Prompt, seed: int) -> list[AdText]:
    rng = np.random.default_rng(seed)
    fixed = list(prompt.references)[:CANDIDATES]
    rest = list(dict.fromkeys(islice(rewordings(prompt, other, rng), len(fixed), None)))
    drawn = rng.permutation(len(rest))[: CANDIDATES - len(fixed)]
    return [*fixed, *(rest[at] for at in drawn)]


def standing(users: Users, measured: Measured, top: Ceiling) -> Standing:
    pairs = [(sample.prompt.brief, sample.text) for sample in measured.samples if sample.text]
    if not pairs:
        return Standing(0.0, 0.0, 0.0, 0.0)
    briefs, texts = zip(*pairs, strict=True)
    rates = users.of_briefs(briefs, texts)
    whole = len(pairs) / len(measured.samples)  # a text that does not parse is never shown
    ctcvr = float(rates.ctcvr.mean() * whole)
    complaints = float(rates.complaints.sum() / (rates.complaints + rates.ctcvr).sum())
    return Standing(ctcvr, ctcvr / top.references, ctcvr / top.best, complaints)


def show_standings(console: Console, split: str, top: Ceiling, standings: dict[str, Standing]) -> None:
    table = Table("", "true CTCVR", "of references", "of best of 16", "complaints per conversion", box=None)
    table.title = f"{split}: simulated users, market {market_hash()}"
    table.add_row("references", f"{1000 * top.references:.2f} ‰", "100 %", f"{top.references / top.best:.0%}", "")
    table.add_row("best of 16", f"{1000 * top.best:.2f} ‰", f"{top.best / top.references:.0%}", "100 %", "")
    for name, found in standings.items():
        shares = f"{found.share_of_references:.0%}", f"{found.share_of_best:.0%}", f"{found.complaints:.1%}"
        table.add_row(name, f"{1000 * found.ctcvr:.2f} ‰", *shares)
    console.print(table)
