"""Raw samples of a policy, kept in a file: sampling takes minutes, measuring seconds. A killed run resumes where
it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adtext.rules import Rules
from trainer.baselines.nlg import Nlg
from trainer.durable import whole_lines, write_text
from trainer.identity import asked_digest, content_digest, policy_digests
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

    samples: int = 5  # texts per prompt
    seed: int = 0
    max_completion: int = 96


def sample(
    entrant: Entrant, prompts: Sequence[Prompt], sampling: Sampling, file: Path, rules: Rules, *,
    nlg: Nlg, base: str | None = None, watch: Callable[[str], object] = lambda line: None,
) -> list[Sample]:  # fmt: skip
    """The raw samples of all prompts, prompt by prompt, from `file` as far as it holds them.

    ValueError where the file belongs to another policy, base, prompts or settings. base: overrides the base that
    an adapter names.
    """
    written = _kept(file, _header(entrant, sampling, nlg, base), prompts, entrant.examples)
    write = _writer(entrant, prompts, sampling, nlg, base) if len(written) < len(prompts) else None
    with file.open("a", encoding="utf-8") as out:
        for start in range(len(written), len(prompts), _AT_ONCE):
            assert write is not None
            batch = prompts[start : start + _AT_ONCE]
            rows = [
                {
                    "ad": prompt.brief.ad.id,
                    "query": prompt.brief.query,
                    "asked": asked_digest(prompt, entrant.examples),
                    "completions": [text for text, _ in completions],
                    "cut": [cut for _, cut in completions],
                }
                for prompt, completions in zip(batch, write(batch, sampling.seed + start), strict=True)
            ]
            out.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            out.flush()
            written += rows
            watch(f"{file.parent.name}, {entrant.name}: {len(written)} of {len(prompts)} prompts")
    return [
        read(prompt, text, rules, cut=cut)
        for prompt, row in zip(prompts, written, strict=True)
        for text, cut in zip(row["completions"], row["cut"], strict=True)
    ]


def _header(entrant: Entrant, sampling: Sampling, nlg: Nlg, base: str | None) -> str:
    """The file's first line: who wrote, with which weights over which base, and how it was asked."""
    if entrant.source == NLG:
        logged = {name: [text.model_dump() for text in texts] for name, texts in nlg.logged.items()}
        digests = {"logged": content_digest(logged)}
    else:
        digests = policy_digests(entrant.source, base)
    return json.dumps(asdict(entrant) | asdict(sampling) | digests)


def _kept(file: Path, header: str, prompts: Sequence[Prompt], examples: int) -> list[dict[str, Any]]:
    """The rows that the file holds already, in whole batches: a batch has one seed, and a kill may tear a line."""
    lines = whole_lines(file)
    if lines and lines[0] != header + "\n":
        raise ValueError(
            f"{file} holds samples of another policy, base or sampling ({lines[0].strip()}): name another folder, or "
            "remove the file"
        )
    rows = lines[1:]
    if len(rows) < len(prompts):
        rows = rows[: len(rows) // _AT_ONCE * _AT_ONCE]
    written = [json.loads(line) for line in rows]
    if len(written) > len(prompts) or any(
        row["asked"] != asked_digest(prompt, examples) for row, prompt in zip(written, prompts, strict=False)
    ):
        raise ValueError(f"{file} holds samples of other prompts: name another folder, or remove the file")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, "".join([header + "\n", *rows]))
    return written


# the texts of each prompt, and whether the token limit cut each off
_Write = Callable[[Sequence[Prompt], int], list[list[tuple[str, bool]]]]


def _writer(entrant: Entrant, every: Sequence[Prompt], sampling: Sampling, nlg: Nlg, base: str | None) -> _Write:
    if entrant.source == NLG:
        return lambda prompts, seed: [
            [(text, False) for text in nlg.write(prompt, sampling.samples, seed=seed)] for prompt in prompts
        ]
    from trainer.policy import load_policy, prompt_ids
    from trainer.rollout.hf import HfRollout
    from trainer.source import base_of, check_lengths, tokenizer_of

    source = base_of(entrant.source, base)
    reader = tokenizer_of(source)
    asked = [prompt_ids(reader, prompt, examples=entrant.examples) for prompt in every]
    check_lengths(source, every, [len(ids) + sampling.max_completion for ids in asked])
    model, tokenizer = load_policy(entrant.source, base=base)
    rollout: Any = HfRollout(model, tokenizer, max_completion=sampling.max_completion)

    def write(prompts: Sequence[Prompt], seed: int) -> list[list[tuple[str, bool]]]:
        ids = [prompt_ids(tokenizer, prompt, examples=entrant.examples) for prompt in prompts]
        groups = rollout.sample(prompts, ids, sampling.samples, seed=seed)
        return [[(text.text, not text.finished) for text in group.completions] for group in groups]

    return write
