"""A judge for rewards and evaluation: it judges whole batches without an event loop, and each batch once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from adtext.brief import AdBrief, AdText
from adtext.judge import Judge, Judgement, Pair
from trainer.scoring.judge import packaged_judge, second_judge


class JudgeScores:
    """A judge that several terms share. A batch is judged once."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self._latest: dict[Pair, Judgement] = {}

    @property
    def version(self) -> str:
        """The judge's immutable name."""
        return self.judge.version

    def of(self, briefs: Sequence[AdBrief], texts: Sequence[AdText]) -> list[Judgement]:
        """One judgement per pair, in order. JudgeUnavailable where the judge cannot answer."""
        pairs = list(zip(briefs, texts, strict=True))
        distinct = dict.fromkeys(pairs)
        new = [pair for pair in distinct if pair not in self._latest]
        known = self._latest | (dict(zip(new, asyncio.run(self._judge(new)), strict=True)) if new else {})
        self._latest = {pair: known[pair] for pair in distinct}
        return [known[pair] for pair in pairs]

    async def _judge(self, pairs: Sequence[Pair]) -> Sequence[Judgement]:
        return await self.judge.judge(pairs)


def judges_of(language: str) -> tuple[JudgeScores | None, JudgeScores | None]:
    """The packaged judge and the second judge, each None where it does not judge texts in this language."""
    judge, second = (
        JudgeScores(judge) if judge.covers(language) else None for judge in (packaged_judge(), second_judge())
    )
    return judge, second
