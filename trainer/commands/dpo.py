"""Direct preference optimisation: sample a fine-tuned policy, pair its texts by the reward model, train on pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainer.config import DpoConfig, load_config
from trainer.prompts import evenly, load_prompts


def run(
    *,
    policy: str,
    base: str | None,
    reward_model: Path,
    config_file: Path | None,
    changes: Sequence[str],
    prompts_file: Path | None,
    out: Path,
    cache: Path | None,
    threads: int,
) -> None:
    """Sample, pair, train, and print the policy's folder."""
    config = load_config(DpoConfig, config_file, changes)
    prompts = load_prompts(prompts_file, language=config.language, split="train")
    import torch
    from rich.console import Console

    from adtext.rules import load_rules
    from trainer.baselines.dpo import check_dpo, preferences, train_dpo
    from trainer.baselines.nlg import Nlg
    from trainer.evaluation.sampling import Entrant, Sampling, sample
    from trainer.reward_model.score import RewardModel

    torch.set_num_threads(threads)
    check_dpo(policy, config, base)
    console = Console(stderr=True)
    model = RewardModel.load(reward_model, cache=cache)
    samples = sample(
        Entrant("policy", policy),
        evenly(prompts, config.queries),
        Sampling(config.samples, config.seed),
        out / "samples.jsonl",
        load_rules(),
        nlg=Nlg(),
        base=base,
        watch=console.print,
    )
    pairs = preferences(samples, model)
    console.print(f"{len(pairs)} pairs of {len(samples)} samples")
    print(train_dpo(policy, pairs, config, out, base=base))
