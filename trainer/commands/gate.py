"""`relate evaluate gate`: sample two policies on the frozen prompts, compare, decide, write the report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.config import GateConfig, load_config
from trainer.gate_report import MAX_TEXTS, GateReport, Prompts, Side, SideBySide

if TYPE_CHECKING:
    from trainer.evaluation.compare import PolicyComparison
    from trainer.evaluation.metrics import Measured
    from trainer.evaluation.sampling import Entrant


def run(
    *,
    champion: str,
    challenger: str,
    out: Path,
    config_file: Path | None = None,
    changes: Sequence[str] = (),
    reward_model: Path | None = None,
    held_out_reward_model: Path | None = None,
    base: str | None = None,
    prompts_file: Path | None = None,
    cache: Path | None = None,
    threads: int = 1,
) -> GateReport:
    """Write OUT/gate.json and OUT/gate.html; the samples are kept beside them."""
    config = load_config(GateConfig, config_file, changes)
    import torch
    from rich.console import Console

    from trainer.evaluation.gate_page import write_gate_page
    from trainer.evaluation.run import Yardsticks, evaluate, summary
    from trainer.evaluation.sampling import Entrant, Sampling

    torch.set_num_threads(threads)
    digests = _reward_model_digests(reward_model, held_out_reward_model)
    entrants = [Entrant.of(champion), Entrant.of(challenger)]
    if entrants[0].name == entrants[1].name:
        raise ValueError(f"champion and challenger are both called {entrants[0].name}: name them as NAME=FOLDER")
    sticks = Yardsticks.load(
        prompts=prompts_file,
        language=config.language,
        encoder=config.encoder,
        reward_model=reward_model,
        held_out_reward_model=held_out_reward_model,
        cache=cache,
    )
    sampling = Sampling(config.samples, config.seed, config.max_completion)
    watch = Console(stderr=True).print
    found = evaluate(entrants, [config.split], sticks, sampling, out, base=base, limit=config.limit, watch=watch)
    comparison, measured = found[config.split]
    report = _report(config, measured, _sides(entrants, base), digests, comparison)
    Console().print(summary(config.split, comparison), report.sentence, sep="\n")
    write_gate_page(out / "gate.html", report)
    print(report.write(out))
    return report


def _reward_model_digests(reward_model: Path | None, held_out: Path | None) -> dict[str, str]:
    """Digest by measure. ValueError where one model is given twice: a second reading of it would decide nothing."""
    from trainer.identity import reward_model_digest

    given = {"ctcvr": reward_model, "held_out_reward_model": held_out}
    digests = {name: reward_model_digest(folder) for name, folder in given.items() if folder}
    if len(digests) == 2 and len(set(digests.values())) == 1:
        raise ValueError(f"{reward_model} and {held_out} are one reward model: the held-out one must be another")
    return digests


def _sides(entrants: Sequence[Entrant], base: str | None) -> list[Side]:
    from trainer.evaluation.sampling import NLG
    from trainer.identity import policy_digests

    sides = []
    for entrant in entrants:
        digests = {"policy": NLG} if entrant.source == NLG else policy_digests(entrant.source, base)
        sides.append(Side(name=entrant.name, digests=digests | {"examples": str(entrant.examples)}))
    return sides


def _report(
    config: GateConfig,
    measured: Sequence[Measured],
    sides: Sequence[Side],
    digests: dict[str, str],
    comparison: PolicyComparison,
) -> GateReport:
    from trainer.evaluation.gate import decide, passes
    from trainer.identity import prompts_digest

    lines = decide(comparison, config)
    asked = list(dict.fromkeys(sample.prompt for sample in measured[0].samples))
    return GateReport(
        decided_at=datetime.now(UTC).replace(microsecond=0),
        champion=sides[0],
        challenger=sides[1],
        prompts=Prompts(
            split=config.split,
            language=config.language,
            advertisers=comparison.advertisers,
            prompts=len(asked),
            digest=prompts_digest(asked),
        ),
        reward_models=digests,
        config=config.model_dump(mode="json"),
        lines=lines,
        texts=tuple(side_by_side(measured, min(config.shown, MAX_TEXTS))),
        passed=passes(lines),
    )


def side_by_side(measured: Sequence[Measured], count: int) -> list[SideBySide]:
    """The first text of both policies for some queries, evenly spread."""
    from trainer.prompts import evenly

    first = [{sample.prompt: sample for sample in reversed(side.samples)} for side in measured]
    return [
        SideBySide(
            query=prompt.brief.query,
            advertiser=prompt.brief.ad.advertiser,
            champion=first[0][prompt].completion,
            challenger=first[1][prompt].completion,
        )
        for prompt in evenly(list(first[0])[::-1], count)
    ]
