"""Raw samples of a policy, kept in a file: sampling takes minutes, measuring seconds. A killed run goes on where it
stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adtext.rules import Rules
from trainer.baselines.nlg import Nlg
from trainer.prompts import Prompt
from trainer.rewards.base import Sample, read

_AT_ONCE = 8  # prompts in one batch
NLG = "nlg"


@dataclass(frozen=True, slots=True)
class Entrant:
    """One policy of a comparison, and how it is asked."""

    name: str
    source: str  # nlg, a model's or adapter's folder, or a Hugging Face name
    examples: int = 0  # worked examples in the prompt: 2 for a model that was never trained on the template

    @staticmethod
    def of(argument: str) -> Entrant:
        """NAME=SOURCE, or SOURCE alone; `@2` behind it asks with two worked examples: base=models/relate-base@2."""
        name, equals, source = argument.rpartition("=")
        source, at, examples = source.partition("@")
        if not source or (at and examples not in ("0", "1", "2")) or (equals and not name):
            raise ValueError(f"policy {argument!r} is not NAME=SOURCE, with @1 or @2 behind it for worked examples")
        return Entrant(name or Path(source).name, source, int(examples or 0))


@dataclass(frozen=True, slots=True)
class Sampling:
    """How every policy of a comparison is sampled: temperature 1, top-p 1, as it is trained."""

    samples: int = 5  # texts a prompt
    seed: int = 0
    max_completion: int = 96


def sample(
    entrant: Entrant, prompts: Sequence[Prompt], sampling: Sampling, file: Path, rules: Rules, *,
    nlg: Nlg, base: str | None = None, watch: Callable[[str], object] = lambda said: None,
) -> list[Sample]:  # fmt: skip
    """The raw samples of all prompts, prompt by prompt, from `file` as far as it holds them.

    ValueError where the file belongs to another policy, other weights or other settings. base: overrides the base that
    an adapter names.
    """
    header = json.dumps(asdict(entrant) | asdict(sampling) | {"weights": _digest(Path(entrant.source))})
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(header + "\n", encoding="utf-8")
    kept = file.read_text(encoding="utf-8").splitlines()
    if kept[0] != header:
        raise ValueError(
            f"{file} holds samples of another policy or sampling ({kept[0]}): name another folder, or remove the file"
        )
    written = [json.loads(line) for line in kept[1:]]
    if any(row["query"] != prompt.brief.query for row, prompt in zip(written, prompts, strict=False)):
        raise ValueError(f"{file} holds samples of other prompts: name another folder, or remove the file")
    write = _writer(entrant, sampling, nlg, base) if len(written) < len(prompts) else None
    with file.open("a", encoding="utf-8") as out:
        for start in range(len(written), len(prompts), _AT_ONCE):
            assert write is not None
            batch = prompts[start : start + _AT_ONCE]
            rows = [
                {"ad": prompt.brief.ad.id, "query": prompt.brief.query, "completions": completions}
                for prompt, completions in zip(batch, write(batch, sampling.seed + start), strict=True)
            ]
            out.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            out.flush()
            written += rows
            watch(f"{file.parent.name}, {entrant.name}: {len(written)} of {len(prompts)} prompts")
    return [
        read(prompt, text, rules) for prompt, row in zip(prompts, written, strict=True) for text in row["completions"]
    ]


_Write = Callable[[Sequence[Prompt], int], list[list[str]]]


def _writer(entrant: Entrant, sampling: Sampling, nlg: Nlg, base: str | None) -> _Write:
    if entrant.source == NLG:
        return lambda prompts, seed: [nlg.write(prompt, sampling.samples, seed=seed) for prompt in prompts]
    from trainer.policy import load_policy, prompt_ids
    from trainer.rollout.hf import HfRollout

    model, tokenizer = load_policy(entrant.source, base=base)
    rollout: Any = HfRollout(model, tokenizer, max_completion=sampling.max_completion)

    def write(prompts: Sequence[Prompt], seed: int) -> list[list[str]]:
        ids = [prompt_ids(tokenizer, prompt, examples=entrant.examples) for prompt in prompts]
        groups = rollout.sample(prompts, ids, sampling.samples, seed=seed)
        return [[completion.text for completion in group.completions] for group in groups]

    return write


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as weights:
            digest.update(hashlib.file_digest(weights, "sha256").digest())
    return digest.hexdigest()[:12]
