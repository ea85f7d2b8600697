"""The judge in the service: one contract over all judges, what becomes of a text, and what a failure costs."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from adtext.brief import Ad, AdBrief, AdText
from adtext.judge import Judge, Judgement, JudgeUnavailable, Pair, Thresholds
from app.core.settings import Settings
from app.policies import llm_judge
from app.policies.bounded import UnusableAnswer
from app.policies.judges import NoJudge, make_judge
from app.policies.llm_judge import LlmJudge, probability_of_yes, request_body
from app.services.serving.candidates import Candidate
from app.services.serving.judging import Judging

BRIEF = AdBrief(
    query="walking boots",
    bidwords=("leather walking boots",),
    locale="en-GB",
    ad=Ad(
        id="boots",
        advertiser="Fell & Thorn",
        business="walking boots resoled in Kendal",
        selling_points=("Resoling from £48", "Boots back within ten days", "Free return postage"),
        landing_page="Send us your boots in any box. We replace soles and heels for £48. Stitching is done by hand.",
    ),
)
CHINESE = BRIEF.model_copy(update={"locale": "zh-CN", "query": "登山鞋"})
TRUE = AdText(title="Walking Boots Resoled", description="Resoling from £48. Boots back within ten days.")
UNTRUE = AdText(title="Walking Boots for £48", description="New boots in ten colours, sewn in Leeds by robots for £48.")
MANGLED = AdText(title="Bootts Walk", description="Soling bootts of the from from £48 box hand the. Ten.")


def answer(yes: float) -> bytes:
    top = [{"token": "Yes", "logprob": math.log(yes)}, {"token": " no", "logprob": math.log(1 - yes)}]
    return json.dumps({"choices": [{"logprobs": {"content": [{"top_logprobs": top}]}}]}).encode()


@pytest.fixture(params=["packaged", "llm", "none"])
async def judge(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Judge]:
    async def post(http: httpx.AsyncClient, path: str, body: object, timeout_s: float) -> bytes:
        return answer(0.9)

    monkeypatch.setattr(llm_judge.bounded, "post", post)
    made = make_judge(Settings(judge=request.param, policy_url="http://127.0.0.1:9"))
    yield made
    await made.close()


async def test_every_judge_answers_each_pair_in_order_with_probabilities_or_says_that_it_cannot(judge: Judge) -> None:
    assert judge.version
    assert judge.thresholds.review <= judge.thresholds.serve
    assert await judge.judge([]) == []
    if not judge.covers("en"):
        with pytest.raises(JudgeUnavailable):
            await judge.judge([(BRIEF, TRUE)])
        return
    pairs = [(BRIEF, TRUE), (BRIEF, UNTRUE), (BRIEF, TRUE)]
    found = await judge.judge(pairs)
    assert len(found) == len(pairs)
    assert found[0] == found[2]
    for judgement in found:
        assert 0 <= judgement.publishable <= min(judgement.true, judgement.well_written) <= 1


def test_only_the_language_model_judges_chinese() -> None:
    assert [make_judge(Settings(judge=name)).covers("zh") for name in ("packaged", "llm", "none")] == [
        False,
        True,
        False,
    ]


async def test_the_packaged_judge_prefers_a_text_that_repeats_facts() -> None:
    judge = make_judge(Settings(judge="packaged"))
    true, untrue, mangled = await judge.judge([(BRIEF, text) for text in (TRUE, UNTRUE, MANGLED)])
    assert true.publishable > max(untrue.publishable, mangled.publishable)
    assert judge.thresholds.outcome(untrue) != "serve"
    assert judge.thresholds.outcome(mangled) != "serve"


class Fixed:
    """A judge that says what a test wants, or fails."""

    version = "fixed-1"
    thresholds = Thresholds(serve=0.8, review=0.3)

    def __init__(self, *answers: float, error: Exception | None = None) -> None:
        self._answers, self._error = answers, error

    def covers(self, language: str) -> bool:
        return language == "en"

    async def judge(self, pairs: Sequence[Pair]) -> Sequence[Judgement]:
        if self._error:
            raise self._error
        return [Judgement(value, 1.0) for value in self._answers]

    async def close(self) -> None:
        pass


def candidates(count: int) -> list[Candidate]:
    return [Candidate(AdText(title=f"Boots {n}", description="Resoling from £48."), (), 0.9) for n in range(count)]


async def test_sure_texts_are_served_best_first_unsure_ones_wait_and_the_rest_is_dropped() -> None:
    kept = await Judging(Fixed(0.5, 0.85, 0.1, 0.95), "review")(candidates(4), BRIEF)
    assert [(text.candidate.text.title, text.served) for text in kept] == [
        ("Boots 3", True),
        ("Boots 1", True),
        ("Boots 0", False),
    ]
    assert {text.judge for text in kept} == {"fixed-1"}


@pytest.mark.parametrize("error", [JudgeUnavailable("down"), RuntimeError("a defect")])
async def test_a_judge_that_fails_sends_every_text_to_review_and_counts_it(error: Exception) -> None:
    from app.core.metrics import JUDGED

    before = JUDGED.labels("failed")._value.get()
    kept = await Judging(Fixed(error=error), "serve")(candidates(2), BRIEF)
    assert [(text.served, text.judge, text.judgement) for text in kept] == [(False, "fixed-1", None)] * 2
    assert JUDGED.labels("failed")._value.get() == before + 2


@pytest.mark.parametrize(("unjudged", "served"), [("review", False), ("serve", True)])
@pytest.mark.parametrize(("judge", "brief"), [(Fixed(), CHINESE), (NoJudge(), BRIEF)])
async def test_the_settings_say_what_becomes_of_a_language_without_a_judge(judge, brief, unjudged, served) -> None:
    kept = await Judging(judge, unjudged)(candidates(2), brief)
    assert [(text.served, text.judgement) for text in kept] == [(served, None)] * 2


@pytest.mark.parametrize(("serve", "review"), [(0.3, 0.5), (1.2, 0.1), (0.5, -0.1)])
def test_thresholds_out_of_order_are_refused(serve: float, review: float) -> None:
    with pytest.raises(ValueError, match="must be in order"):
        Thresholds(serve=serve, review=review)


@pytest.mark.parametrize("yes", [0.02, 0.5, 0.97])
def test_p_yes_is_read_from_the_answer_token_whatever_its_case_and_spacing(yes: float) -> None:
    assert probability_of_yes(answer(yes)) == pytest.approx(yes)


@pytest.mark.parametrize(
    "payload",
    [b"<html>", b"{}", b'{"choices": []}', b'{"choices": [{"logprobs": null}]}',
     b'{"choices": [{"logprobs": {"content": []}}]}',
     b'{"choices": [{"logprobs": {"content": [{"top_logprobs": [{"token": "maybe", "logprob": -0.1}]}]}}]}'],
)  # fmt: skip
def test_an_answer_without_yes_or_no_is_unusable(payload: bytes) -> None:
    with pytest.raises(UnusableAnswer):
        probability_of_yes(payload)


def test_the_texts_of_one_brief_share_the_beginning_of_the_prompt_so_that_its_cache_is_used() -> None:
    first, second = (request_body("m", CHINESE, text, "True?")["messages"][1]["content"] for text in (TRUE, UNTRUE))
    shared = first.index("Ad: ")
    assert first[:shared] == second[:shared]
    assert "登山鞋" in first[:shared]


async def test_a_server_that_refuses_makes_the_judge_unavailable() -> None:
    judge = LlmJudge("http://127.0.0.1:9", "m", Thresholds(0.9, 0.5), timeout_s=1.0, concurrency=2)
    with pytest.raises(JudgeUnavailable):
        await judge.judge([(BRIEF, TRUE)])
    await judge.close()
