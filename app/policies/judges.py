"""The judge that the settings name: the packaged one, a language model behind vLLM's API, or none."""

from __future__ import annotations

from collections.abc import Sequence

from adtext.judge import Judge, Judgement, JudgeUnavailable, Pair, Thresholds
from app.core.settings import Settings
from app.policies.llm_judge import LlmJudge
from trainer.scoring.judge import packaged_judge


class NoJudge:
    """Judges nothing: every fresh text is one that no judge covers."""

    version = "none"
    thresholds = Thresholds(serve=1.0, review=0.0)

    def covers(self, language: str) -> bool:
        return False

    async def judge(self, pairs: Sequence[Pair]) -> Sequence[Judgement]:
        if not pairs:
            return []
        raise JudgeUnavailable("no judge is configured (RELATE_JUDGE=none)")

    async def close(self) -> None:
        """Nothing is held."""


def make_judge(settings: Settings) -> Judge:
    """Made once, when the service starts."""
    if settings.judge == "llm":
        return LlmJudge(
            settings.judge_url or settings.policy_url,
            settings.judge_model or settings.policy_model,
            Thresholds(serve=settings.judge_serve, review=settings.judge_review),
            timeout_s=settings.policy_timeout_s,
            concurrency=settings.policy_concurrency,
        )
    return packaged_judge() if settings.judge == "packaged" else NoJudge()
