"""How long a GRPO step takes beside TRL's GRPOTrainer: the same model, prompts, completions, dtype, β and texts a
micro-batch.

    python -m benchmarks.grpo --model FOLDER                 # three shapes and a whole step, ten interleaved steps
        each
    python -m benchmarks.grpo --model FOLDER --part 60/48 --quick

The optimisation phase is the reference's and the policy's forward pass, backward, clipping and AdamW, on given texts.
The whole step begins with a rollout by transformers of two advertisers' prompts and rewards by rules. FOLDER holds any
causal language model, such as the packaged one (python -m trainer.packaged_model FOLDER).

The two sides take turns, and a figure is the ratio of their medians: by the wall clock, and in CPU seconds, which
neighbours on a busy machine distort less. Beside it stands what counted FLOPs of the linear layers allow: a shared
prompt saves P·(G - 1) tokens of the body and none of the head. A ratio can pass that ceiling: TRL makes logits twice,
once more in its backward, and on a CPU inside prompts too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.grpo_sides import GROUP_SIZE, Ours, Side, Trl, quieten
from benchmarks.record import RESULTS, record
from trainer.forward.ids import Ids
from trainer.prompts import load_prompts

WHOLE = "whole step"
GOALS = {"60/48": 1.4, "150/60": 1.75, "400/60": 2.3, WHOLE: 1.3}  # prompt/completion in tokens → how many times TRL
CREDIT_S, CREDIT_SHARE = 0.05, 0.02  # limits of credit's time: seconds, or share of a whole step, whichever is more
PROMPTS, LONGEST = 2, 48  # size of the whole step: prompts, and tokens per text
VOCABULARY = 40_000  # random ids are drawn below it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--part", choices=list(GOALS), action="append", help="what to measure (default: everything)")
    parser.add_argument("--steps", type=int, default=10, help="on each side (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="three steps")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--out",
        type=Path,
        default=RESULTS / "grpo.json",
        help="parts measured before stay in it (default: %(default)s)",
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    quieten()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    steps = 3 if options.quick else options.steps
    console = Console()
    for part in options.part or list(GOALS):
        with tempfile.TemporaryDirectory() as scratch:
            prompts = PROMPTS if part == WHOLE else 1
            ours = Ours(options.model, device, options.precision)
            theirs = Trl(options.model, device, options.precision, Path(scratch), prompts=prompts, longest=LONGEST)
            row = (
                whole(steps, ours, theirs)
                if part == WHOLE
                else phase(part, steps, ours, theirs, ceiling(options.model, part))
            )
        row |= {"steps": steps, "device": device, "precision": options.precision, "threads": options.threads}
        console.print(table(part, row))
        known = json.loads(options.out.read_text(encoding="utf-8")) if options.out.is_file() else {}
        parts = {name: known[name] for name in GOALS if name in known} | {part: row}
        console.print(f"written to {record('grpo', parts, ('torch', 'transformers', 'trl'), options.out)}")


def phase(shape: str, steps: int, ours: Side, theirs: Side, most: float) -> dict[str, Any]:
    batch, advantages = a_batch(shape)
    turns = {"ours": lambda: ours.optimise(batch, advantages), "trl": lambda: theirs.optimise(batch, advantages)}
    return take_turns(turns, steps) | {"goal": GOALS[shape], "ceiling": most}


def whole(steps: int, ours: Side, theirs: Side) -> dict[str, Any]:
    prompts = load_prompts(split="train")[::4][:PROMPTS]  # one of each advertiser
    credit: list[float] = []
    turns = {
        "ours": lambda: credit.append(ours.whole_step(prompts, LONGEST)),
        "trl": lambda: theirs.whole_step(prompts, LONGEST),
    }
    figures = take_turns(turns, steps) | {"goal": GOALS[WHOLE], "credit_s": median(credit[1:])}
    return figures | {
        "credit_share": figures["credit_s"] / figures["ours_s"],
        "credit_goal_s": max(CREDIT_S, CREDIT_SHARE * figures["ours_s"]),
    }


def take_turns(turns: dict[str, Callable[[], Any]], steps: int) -> dict[str, Any]:
    """Median wall and CPU seconds of each over `steps` turns, after one to warm up, and how many times longer TRL
    takes.
    """
    wall: dict[str, list[float]] = {name: [] for name in turns}
    cpu: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(steps + 1):
        for name, turn in turns.items():
            began, used = perf_counter(), process_time()
            turn()
            wall[name].append(perf_counter() - began)
            cpu[name].append(process_time() - used)
    figures = {f"{name}_s": median(seconds[1:]) for name, seconds in wall.items()}
    figures |= {f"{name}_cpu_s": median(seconds[1:]) for name, seconds in cpu.items()}
    return figures | {
        "ratio": figures["trl_s"] / figures["ours_s"],
        "cpu_ratio": figures["trl_cpu_s"] / figures["ours_cpu_s"],
    }


def a_batch(shape: str) -> tuple[list[Ids], Tensor]:
    """One group of random ids: what they are changes no step's time."""
    prompt, completion = map(int, shape.split("/"))
    chance = torch.Generator().manual_seed(0)

    def ids(number: int) -> list[int]:
        drawn: list[int] = torch.randint(100, VOCABULARY, (number,), generator=chance).tolist()
        return drawn

    batch = [Ids(ids(prompt), [ids(completion) for _ in range(GROUP_SIZE)])]
    return batch, torch.randn(GROUP_SIZE, completion, generator=chance)


def ceiling(model: Path, shape: str) -> float:
    """How many times fewer FLOPs the linear layers need: G·(P + R)·body + G·R·head over (P + G·R)·body + G·R·head, in
    weights.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        shell: Any = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model))  # type: ignore[no-untyped-call]
    head: int = shell.get_output_embeddings().weight.numel()
    body: int = sum(layer.weight.numel() for layer in shell.modules() if isinstance(layer, torch.nn.Linear)) - head
    prompt, completion = map(int, shape.split("/"))
    sampled = GROUP_SIZE * completion
    return (GROUP_SIZE * (prompt + completion) * body + sampled * head) / ((prompt + sampled) * body + sampled * head)


def table(part: str, row: dict[str, Any]) -> Table:
    made = Table("clock", "ours, s", "TRL, s", "ratio", "goal", "FLOP ceiling", title=f"{part}, G = {GROUP_SIZE}")
    most = f"{row['ceiling']:.2f}" if "ceiling" in row else ""
    for clock, suffix, ratio in (("wall", "s", "ratio"), ("CPU", "cpu_s", "cpu_ratio")):
        made.add_row(
            clock,
            f"{row[f'ours_{suffix}']:.2f}",
            f"{row[f'trl_{suffix}']:.2f}",
            f"{row[ratio]:.2f} ×",
            f"≥ {row['goal']}",
            most,
        )
    if "credit_s" in row:
        made.caption = (
            f"credit {1000 * row['credit_s']:.1f} ms, {row['credit_share']:.2%} of the step; "
            f"goal ≤ {1000 * row['credit_goal_s']:.0f} ms"
        )
    return made


if __name__ == "__main__":
    main()
