"""What the judge decides about freshly written texts: served, kept for a reviewer, or not kept.

A judge that fails, and a language without a judge, send a text to review, never to the public.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from adtext.brief import AdBrief, AdText
from adtext.judge import Judge, Judgement, JudgeUnavailable
from app.core.metrics import JUDGED
from app.services.serving.candidates import Candidate

log = logging.getLogger(__name__)

Unjudged = Literal["review", "serve"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate that is kept, and what the judge said of it."""

    candidate: Candidate
    served: bool  # False: it waits for a person
    judge: str | None = None
    judgement: Judgement | None = None

    @property
    def rank(self) -> float:
        """Kept texts are ordered by this: the judge's probability, else the candidate's own score."""
        return self.judgement.publishable if self.judgement else self.candidate.score


class Judging:
    """Asks the service's judge. `unjudged`: what becomes of a text in a language that the judge does not cover."""

    def __init__(self, judge: Judge, unjudged: Unjudged) -> None:
        self._judge, self._unjudged = judge, unjudged

    def covers(self, language: str) -> bool:
        return self._judge.covers(language)

    async def __call__(self, candidates: Sequence[Candidate], brief: AdBrief) -> list[Judged]:
        """The candidates that are kept, best first."""
        if not candidates:
            return []
        judge = self._judge
        if not judge.covers(brief.language):
            JUDGED.labels("unjudged").inc(len(candidates))
            return [Judged(candidate, self._unjudged == "serve") for candidate in candidates]
        judgements = await self._judgements([candidate.text for candidate in candidates], brief)
        if judgements is None:
            return [Judged(candidate, False, judge.version) for candidate in candidates]
        kept = []
        for candidate, judgement in zip(candidates, judgements, strict=True):
            outcome = judge.thresholds.outcome(judgement)
            JUDGED.labels(outcome).inc()
            if outcome != "refuse":
                kept.append(Judged(candidate, outcome == "serve", judge.version, judgement))
        return sorted(kept, key=lambda judged: -judged.rank)

    async def serves(self, texts: Sequence[AdText], brief: AdBrief) -> list[bool]:
        """Whether each text may be served without a person. In a language without a judge every text of approved parts
        may; where the judge fails, none.
        """
        if not texts or not self._judge.covers(brief.language):
            return [True] * len(texts)
        judgements = await self._judgements(texts, brief)
        if judgements is None:
            return [False] * len(texts)
        return [self._judge.thresholds.outcome(judgement) == "serve" for judgement in judgements]

    async def _judgements(self, texts: Sequence[AdText], brief: AdBrief) -> Sequence[Judgement] | None:
        """One judgement for each text; None where the judge failed."""
        try:
            return await self._judge.judge([(brief, text) for text in texts])
        except Exception as error:  # whatever is wrong with the judge: no text is served unread, none is lost
            JUDGED.labels("failed").inc(len(texts))
            level = logging.WARNING if isinstance(error, JudgeUnavailable) else logging.ERROR
            log.log(
                level,
                "the judge failed: its texts wait for review",
                extra={"judge": self._judge.version, "error": str(error)},
            )
            return None

    async def stop(self) -> None:
        await self._judge.close()
