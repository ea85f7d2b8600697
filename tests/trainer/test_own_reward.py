"""A new reward is one file and one entry of the config, as docs/extending.md shows it: no edit anywhere else."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.trainer.runs import curves
from tests.trainer.small import save_small_policy, small_prompts
from trainer.config import ConfigError, GrpoConfig, from_mapping, load_config
from trainer.grpo import Inputs, train_grpo
from trainer.rewards import Given, build_terms

MODULE = '''
"""Texts of few words."""

import numpy as np

from adtext.fold import Span
from trainer.rewards import Charge, Term


class Brevity(Term):
    """1 up to `words` words, then words / length. Every character beyond the title's tenth can be charged."""

    def __init__(self, words):
        self.words, self.seen = words, 0

    def observe(self, samples):
        self.seen += len(samples)

    def score(self, samples):
        return np.array([min(1, self.words / max(len(sample.completion.split()), 1)) for sample in samples])

    def charges(self, sample):
        return [Charge({"title": (Span(10, len(sample.text.title)),)}, 1.0)] if sample.text else []

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


class Kind(Term):
    def score(self, samples):
        return np.ones(len(samples))


class Nothing:
    pass
'''

CONFIG = """
steps: 2
batch_size: 10
max_completion: 8
checkpoint_every: 2
limits: {kl: null, shortest: 0, longest: null, distinct: 0, gap: null}
terms:
  length: {weight: 0.5}
  "my_rewards:Brevity": {weight: 0.3, words: 2}
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside the packages with a module of rewards and a config."""
    (tmp_path / "my_rewards.py").write_text(MODULE)
    (tmp_path / "grpo.yaml").write_text(dedent(CONFIG))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_rewards", raising=False)
    return tmp_path


def test_a_reward_outside_the_package_is_trained_on_watched_and_resumed(mine: Path) -> None:
    policy = save_small_policy(mine / "base", small_prompts(), width=16)
    config = load_config(GrpoConfig, mine / "grpo.yaml")
    train_grpo(config, Inputs(policy=str(policy)), small_prompts(), mine / "run")
    resumed = config.with_changes(steps=3, checkpoint_every=1)
    train_grpo(resumed, Inputs(policy=str(policy)), small_prompts(), mine / "run")

    steps = curves(mine / "run")
    assert [step["step"] for step in steps] == [0, 1, 2]
    for step in steps:
        weighted = (0.5 * step["rewards"]["length"] + 0.3 * step["rewards"]["my_rewards:Brevity"]) / 0.8
        assert step["reward"] == pytest.approx(weighted) and step["spread"]["my_rewards:Brevity"] > 0
    sample = json.loads((mine / "run" / "samples.jsonl").read_text().splitlines()[0])
    assert 0 < sample["scores"]["my_rewards:Brevity"] <= 1


def test_its_state_is_kept_with_the_run(mine: Path) -> None:
    terms = load_config(GrpoConfig, mine / "grpo.yaml").terms
    first, second = (build_terms(terms, Given())["my_rewards:Brevity"] for _ in range(2))
    first.observe([None] * 5)
    second.load_state_dict(first.state_dict())
    assert second.seen == 5 and second.words == 2


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("my_rewards:Brevity", {"weight": 1, "level": "token", "words": 2}, None),
        ("my_rewards:Kind", {"weight": 1, "level": "token"}, "level: token needs a class with `charges`"),
        ("my_rewards:Brevity", {"weight": 1}, r"terms.my_rewards:Brevity: .*'words': give the arguments"),
        ("my_rewards:Other", {"weight": 1}, "no attribute 'Other': name a class that can be imported"),
        ("no_such_module:Term", {"weight": 1}, "No module named 'no_such_module': name a class"),
        ("my_rewards:Nothing", {"weight": 1}, "terms.my_rewards:Nothing is no reward: name a class that inherits"),
    ],
)
def test_a_reward_that_cannot_be_built_is_refused_with_its_rule(mine: Path, name, settings, said) -> None:
    terms = from_mapping(GrpoConfig, {"terms": {"length": {"weight": 1}, name: settings}}).terms
    if said is None:
        assert name in build_terms(terms, Given())
        return
    with pytest.raises(ConfigError, match=said):
        build_terms(terms, Given())
