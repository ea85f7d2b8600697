"""What a reward is: a score of whole texts in [0, 1] and, where it knows which characters are at fault, spans to charge
(RELATE §3.3, §3.4.1).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from adtext.brief import AdText
from adtext.checks import Finding, check
from adtext.fold import Span
from adtext.prompt import parse
from adtext.rules import RULES, Rules
from trainer.config import ConfigError
from trainer.prompts import Prompt
from trainer.rewards.judge_scores import JudgeScores

FloatArray = npt.NDArray[np.float64]

_TERM_OF_KIND = {"length": "length", "format": "format", "grounding": "correctness", "risk": "risk"}
# Finding.rule → its one term
TERM_OF: Mapping[str, str] = MappingProxyType({rule: _TERM_OF_KIND[kind] for rule, kind in RULES.items()})


@dataclass(frozen=True, slots=True)
class Sample:
    """One raw completion, before any filter."""

    prompt: Prompt
    completion: str
    text: AdText | None  # None: it does not parse and scores 0 on every term
    findings: tuple[Finding, ...]
    cut: bool = False  # True: the token limit cut it off

    def of(self, term: str) -> list[Finding]:
        """The findings that belong to one term."""
        return [finding for finding in self.findings if TERM_OF[finding.rule] == term]


def read(prompt: Prompt, completion: str, rules: Rules, *, cut: bool = False) -> Sample:
    """Parse and check one completion."""
    text = parse(completion, prompt.brief.language)
    findings = tuple(check(text, prompt.brief, prompt.spec, rules)) if text else ()
    return Sample(prompt, completion, text, findings, cut)


@dataclass(frozen=True, slots=True)
class Charge:
    """Spans that pay `share` of a term's weight. The shares of one text's charges for a term sum to at most 1 on any
    token.
    """

    spans: Mapping[str, tuple[Span, ...]]  # by field, in code points of its value
    share: float


class MissingInput(ConfigError):
    """A term needs an input that the run was not given."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a run gives its terms when they are built."""

    prompts: Sequence[Prompt] = ()
    reward_model: Path | None = None
    cache: Path | None = None  # folder of cached embeddings
    judge: JudgeScores | None = None  # None: no judge covers the run's language


@runtime_checkable
class Term(Protocol):
    """One reward, for the whole of a run. A class that inherits from this Protocol has to implement only `score`."""

    @classmethod
    def build(cls, given: Given, **settings: Any) -> Self:
        """The term with its own settings of the config. MissingInput where the run was not given what it needs."""
        return cls(**settings)

    def fit(self, samples: Sequence[Sample]) -> None:
        """Calibrate once, on the first step's samples of all ranks: texts of the policy that training starts from."""
        return None

    def observe(self, samples: Sequence[Sample]) -> None:
        """See every step's samples of all ranks, in one order, before any of them is scored."""
        return None

    @abstractmethod
    def score(self, samples: Sequence[Sample]) -> FloatArray:
        """[N] in [0, 1], 1 is best; 0 where a sample does not parse. Equal samples and state give equal scores."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The state from `fit` and `observe` in plain types, for a checkpoint."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a checkpoint's state. ConfigError where it belongs to another term."""
        return None


@runtime_checkable
class TokenTerm(Protocol):
    """A term that knows which characters to charge: it can act at token level."""

    def charges(self, sample: Sample) -> list[Charge]:
        """The charges of a text; none for a text without fault, or one that does not parse."""
        ...


def by_field(places: Iterable[tuple[str, Span]]) -> dict[str, tuple[Span, ...]]:
    """Spans grouped by the field they stand in."""
    grouped: dict[str, tuple[Span, ...]] = {}
    for field, span in places:
        grouped[field] = (*grouped.get(field, ()), span)
    return grouped
