"""Truth and fluency: a judge's two probabilities as rewards, and the second judge that only watches."""

from __future__ import annotations

import numpy as np
import pytest

from adtext.brief import AdText
from adtext.judge import Judgement, JudgeUnavailable, Thresholds
from tests.builders import a_brief
from tests.trainer.samples import GOOD, GOOD_JA, GOOD_ZH, a_prompt, a_sample
from trainer.config import ConfigError, GrpoConfig, from_mapping
from trainer.grpo import Inputs
from trainer.grpo.setup import identity, make_rewards
from trainer.rewards import Given, MissingInput, RewardError, Rewards, build_terms
from trainer.rewards.judge_scores import JudgeScores, judges_of
from trainer.rewards.judged import Fluency, Truth
from trainer.rewards.structure import Length


class Reader:
    """A judge of any language: true where the text names the advertiser, well written where it ends in a stop."""

    thresholds = Thresholds(serve=0.5, review=0.2)

    def __init__(self, version="judge-1"):
        self.version, self.asked = version, []

    def covers(self, language):
        return True

    async def judge(self, pairs):
        self.asked += pairs
        return [
            Judgement(
                0.9 if brief.ad.advertiser in text.description else 0.1, 0.8 if text.description[-1] in ".。" else 0.3
            )
            for brief, text in pairs
        ]

    async def close(self):
        """Nothing is held."""


IN_THREE = [a_sample(GOOD), a_sample(GOOD_ZH, "zh", "baidu_search"), a_sample(GOOD_JA, "ja", "generic")]


def test_truth_and_fluency_are_the_judges_two_probabilities_in_every_language():
    scores = JudgeScores(Reader())
    samples = [*IN_THREE, a_sample(AdText(title="Shoes", description="Named by nobody")), a_sample("no ad at all")]
    names = [sample.prompt.brief.ad.advertiser in sample.text.description for sample in IN_THREE]
    assert Truth(scores).score(samples).tolist() == [0.9 if named else 0.1 for named in names] + [0.1, 0.0]
    assert Fluency(scores).score(samples).tolist() == [0.8, 0.8, 0.8, 0.3, 0.0]


def test_a_batch_is_judged_once_for_both_terms_and_equal_texts_once():
    reader = Reader()
    scores = JudgeScores(reader)
    batch = [*IN_THREE, IN_THREE[0]]
    first = Truth(scores).score(batch)
    Fluency(scores).score(batch)
    assert len(reader.asked) == 3
    assert Truth(scores).score(batch[:1]) == first[0]
    Truth(scores).score(batch)  # only the latest batch is kept
    assert len(reader.asked) == 5


def test_a_batch_without_a_text_asks_nobody():
    reader = Reader()
    assert Truth(JudgeScores(reader)).score([a_sample("no ad at all")]).tolist() == [0.0]
    assert reader.asked == []


def test_the_judge_is_kept_with_the_run_and_another_is_refused():
    term = Truth(JudgeScores(Reader()))
    term.load_state_dict(term.state_dict())
    with pytest.raises(ConfigError, match="trained with judge judge-1, given is judge-2: give the same one"):
        Truth(JudgeScores(Reader("judge-2"))).load_state_dict(term.state_dict())


def test_a_judge_that_cannot_answer_stops_the_run_with_one_line():
    class Away(Reader):
        async def judge(self, pairs):
            raise JudgeUnavailable("no answer from the judge")

    with pytest.raises(RewardError, match=r"reward truth failed on 1 texts .*no answer from the judge"):
        Rewards({"truth": Truth(JudgeScores(Away()))}, {"truth": 1.0}, {}).score([a_sample(GOOD)])


# ---- which judge a run has


def config(language="en", **terms):
    return from_mapping(
        GrpoConfig, {"batch_size": 10, "language": language, "terms": {"length": {"weight": 1}} | terms}
    )


BOTH = {"truth": {"weight": 1.0}, "fluency": {"weight": 1.0}}


def test_a_language_without_a_judge_is_refused_by_name_and_a_watched_term_left_out():
    assert judges_of("zh") == judges_of("ja") == (None, None)
    with pytest.raises(MissingInput, match=r"terms\.fluency needs a judge of this language.*set its weight to 0"):
        build_terms(config("zh", fluency={"weight": 1.0}).terms, Given())
    assert build_terms(config("zh", fluency={"weight": 0}).terms, Given()).keys() == {"length"}


def test_an_english_run_is_rewarded_by_the_packaged_judge_and_watched_by_the_second():
    rewards = make_rewards(config(**BOTH), Inputs(policy="p"), [a_prompt()])
    shuffled = AdText(title="Shoes Wide Running", description="Feet wide with from Greenfield fits to 4E runners 2E.")
    samples = [a_sample(GOOD), a_sample(shuffled)]
    scored = rewards.score(samples)
    assert scored.terms["fluency"][0] > scored.terms["fluency"][1]
    assert scored.sentence == pytest.approx(sum(scored.terms[name] for name in ("length", "truth", "fluency")) / 3)
    assert scored.second_judge.keys() == {"truth", "fluency"}
    assert not np.allclose(scored.second_judge["fluency"], scored.terms["fluency"])
    judges = {state["judge"] for name, state in rewards.state_dict().items() if "judge" in state}
    assert len(judges) == 2


def test_the_second_judge_changes_no_reward():
    watched = {"truth": Truth(JudgeScores(Reader("second")))}
    terms, weights, samples = {"length": Length()}, {"length": 1.0}, [a_sample(GOOD), a_sample("no ad at all")]
    alone, beside = (Rewards(terms, weights, {}, second_judge=second).score(samples) for second in ({}, watched))
    assert alone.sentence.tolist() == beside.sentence.tolist() and alone.charges == beside.charges
    assert alone.second_judge == {} and beside.second_judge.keys() == {"truth"}


def test_a_run_without_judged_terms_reads_no_judge():
    assert make_rewards(config(), Inputs(policy="p"), [a_prompt()]).second_judge == {}


def test_a_run_is_known_by_its_judges(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")

    def digests(**terms):
        inputs = Inputs(policy=str(tmp_path))
        return identity(config(**terms), inputs, [a_prompt()]).digests

    judged = digests(**BOTH)
    assert judged["judge"].startswith("judge-") and judged["second_judge"] != judged["judge"]
    assert "judge" not in digests()


def test_the_packaged_judges_tell_a_moved_price_from_a_true_one():
    brief = a_brief(locale="en-US")
    true, moved = (
        AdText(title="Wide Running Shoes", description=said)
        for said in (
            "Trainers from 2E to 4E. Free shipping over $50.",
            "Trainers for $50. Free shipping from 2E to 4E.",
        )
    )
    judge, _ = judges_of("en")
    first, second = judge.of([brief, brief], [true, moved])
    assert first.true > second.true
