"""The loop: it learns, it goes on to the bit where it was stopped, and it goes back when a limit is broken."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean

import pytest
import torch
from accelerate.tracking import GeneralTracker, register_tracker_class

from adtext.brief import AdText
from tests.trainer.runs import Vowels, a_run, a_run_config, curves, trained, weights
from tests.trainer.small import save_small_policy, small_prompts, teach
from trainer.config import ConfigError, GrpoConfig, Limits, LoraSettings, Terms
from trainer.grpo.schedule import learning_rate, prompts_at, sampling_seed
from trainer.grpo.setup import Inputs
from trainer.grpo.trackers import Trackers
from trainer.grpo.train import train_grpo
from trainer.rewards.combine import RewardError
from trainer.rollout.base import Group, Rollout


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    return save_small_policy(tmp_path_factory.mktemp("policy") / "base", small_prompts(), width=16)


class BreaksAt(Vowels):
    """Fails at its n-th batch: a reward with a fault, or a process that is killed."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def score(self, samples):
        self.left -= 1
        if self.left == 0:
            raise OSError("the embedding server is gone")
        return super().score(samples)


@pytest.mark.parametrize(
    "changes",
    [{}, {"lora": LoraSettings(rank=2, alpha=4)}, {"constraints": "dual", "updates": 2, "weight_decay": 0.1}],
    ids=["full", "lora", "dual, two updates"],
)
def test_a_run_that_was_stopped_goes_on_to_the_bit(policy, tmp_path, changes):
    config = a_run_config(**changes)
    whole = trained(policy, tmp_path / "whole", config)
    with pytest.raises(
        RewardError, match=r"reward length failed .*the embedding server is gone.*resumes from its last checkpoint"
    ):
        # after three steps, of which a checkpoint holds two
        trained(policy, tmp_path / "stopped", config, BreaksAt(4))
    assert len(curves(tmp_path / "stopped")) == 3
    resumed = trained(policy, tmp_path / "stopped", config)

    assert curves(tmp_path / "stopped") == curves(tmp_path / "whole")
    expected, found = weights(whole.policy, config), weights(resumed.policy, config)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    if config.lora:
        trained_part = [weight for name, weight in expected.items() if "lora_B" in name]
        assert all(weight.any() for weight in trained_part) and trained_part, "B starts at 0: it did train"
    else:
        started = weights(policy, config)
        assert any(not torch.equal(expected[name], started[name]) for name in started), "it did train"
    assert (resumed.chosen, resumed.steps, resumed.stopped) == (whole.chosen, whole.steps, None)


class Recorded:
    """A sampler that cannot write the same texts twice, as vLLM under load, with its texts kept: what was written once
    is read back.
    """

    name = "vllm"

    def __init__(self, sampler: Rollout, kept: dict[int, list[Group]]) -> None:
        self.sampler, self.kept, self.pushes = sampler, kept, 0

    def sample(self, prompts, prompt_ids, group_size, *, seed):
        if seed not in self.kept:
            self.kept[seed] = self.sampler.sample(prompts, prompt_ids, group_size, seed=seed)
        return self.kept[seed]

    def push(self, weights):
        self.pushes += 1


def test_a_run_with_another_sampler_goes_on_to_the_bit_over_recorded_completions(policy, tmp_path):
    config, kept = a_run_config(lora=LoraSettings(rank=2, alpha=4), sampler_cap=2.0), {}

    def run(out, term=None):
        made = a_run(policy, out, config, term)
        made.rollout = Recorded(made.rollout, kept)
        return made.train(), made.rollout

    whole, _ = run(tmp_path / "whole")
    with pytest.raises(RewardError):
        run(tmp_path / "stopped", BreaksAt(4))
    resumed, sampler = run(tmp_path / "stopped")
    # what it resumes with, then after every step
    assert len(kept) == config.steps and sampler.pushes == 1 + config.steps - 2
    assert curves(tmp_path / "stopped") == curves(tmp_path / "whole")
    expected, found = weights(whole.policy, config), weights(resumed.policy, config)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_run_raises_the_reward_it_was_given(policy, tmp_path):
    config = a_run_config(
        steps=20, batch_size=20, terms={"length": {"weight": 1.0}, "diversity": {"weight": 0}}, learning_rate=2e-2
    )
    trained(policy, tmp_path / "run", config)
    rewards = [curve["reward"] for curve in curves(tmp_path / "run")]
    assert fmean(rewards[-5:]) > 1.1 * fmean(rewards[:5])


def test_a_run_folder_says_what_was_trained_and_what_each_token_was_charged(policy, tmp_path):
    config = a_run_config(steps=2)
    trained(policy, tmp_path / "run", config)
    said = json.loads((tmp_path / "run" / "run.json").read_text())
    assert said["config"]["batch_size"] == 10 and said["names"]["policy"] == str(policy)
    samples = [json.loads(line) for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == 2 * 2 * 5 and {sample["step"] for sample in samples} == {0, 1}
    for sample in samples:
        assert len(sample["tokens"]) == len(sample["charges"]) > 0 and max(sample["charges"]) <= 0
        assert sample["scores"].keys() == {"length", "diversity"}
    ended = json.loads((tmp_path / "run" / "outcome.json").read_text())
    assert ended == {"chosen": ended["chosen"], "steps": 2, "stopped": None}


def test_a_run_folder_takes_no_other_run(policy, tmp_path):
    trained(policy, tmp_path / "run", a_run_config(steps=2))
    with pytest.raises(ConfigError, match="holds a run with other beta"):
        trained(policy, tmp_path / "run", a_run_config(steps=4, beta=0.1))
    assert trained(policy, tmp_path / "run", a_run_config(steps=4)).steps == 4  # more steps are the same run


def test_a_broken_limit_stops_the_run_and_goes_back_to_a_good_checkpoint(policy, tmp_path):
    limits = a_run_config().limits.with_changes(window=2, kl=0.05)
    outcome = trained(
        policy,
        tmp_path / "run",
        a_run_config(steps=60, learning_rate=3e-2, beta=0.001, checkpoint_every=1, limits=limits),
    )
    assert outcome.stopped is not None and "above limits.kl 0.05" in outcome.stopped
    assert outcome.chosen <= outcome.steps - 2 < 58 and (outcome.policy / "model.safetensors").exists()
    assert json.loads((tmp_path / "run" / "outcome.json").read_text())["stopped"] == outcome.stopped


class Kept(GeneralTracker):
    """A tracker as Accelerate's users write their own."""

    name = "kept"
    requires_logging_directory = True
    tracker = None

    def __init__(self, project: str, folder: Path) -> None:
        super().__init__()
        self.file = folder / f"{project}.jsonl"

    def store_init_configuration(self, values):
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._write({"config": values})

    def log(self, values, step=None, **kwargs):
        self._write({"step": step, **values})

    def finish(self):
        self._write({"finished": True})

    def _write(self, line):
        with self.file.open("a") as file:
            file.write(json.dumps(line) + "\n")


def test_trackers_are_told_the_curves_of_the_run_folder(policy, tmp_path):
    register_tracker_class(Kept)
    config = a_run_config(steps=2, trackers=("kept",))
    seen = []
    train_grpo(config, Inputs(policy=str(policy)), small_prompts(), tmp_path, watch=seen.append)
    began, *logged, ended = map(json.loads, (tmp_path / "trackers" / "relate.jsonl").read_text().splitlines())
    assert began["config"]["batch_size"] == 10 and began["config"]["terms/diversity/weight"] == 0.5
    assert len(seen) == len(logged) == 2 and ended == {"finished": True}
    for told, curve in zip(logged, curves(tmp_path), strict=True):
        assert told["step"] == curve["step"] and told["reward"] == curve["reward"] and told["kl"] == curve["kl"]
        assert {name: told[f"rewards/{name}"] for name in curve["rewards"]} == curve["rewards"]
        assert all(isinstance(value, (int, float)) for value in told.values())


def test_only_the_rank_that_writes_has_trackers(tmp_path):
    with Trackers(a_run_config(trackers=("kept",)), tmp_path / "another rank", write=False) as trackers:
        trackers.log({"step": 3, "reward": 0.5})
    assert not (tmp_path / "another rank").exists()


@pytest.mark.parametrize(
    ("name", "why"), [("crayon", "is unknown to Accelerate; there are .*tensorboard"), ("aim", "pip install it")]
)
def test_a_tracker_that_cannot_be_had_stops_a_run_before_a_model_is_loaded(name, why, tmp_path):
    with pytest.raises(ConfigError, match=why):
        train_grpo(a_run_config(trackers=(name,)), Inputs(policy="no such model"), small_prompts(), tmp_path)


def test_every_epoch_sees_every_prompt_once_and_seeds_never_repeat():
    config = GrpoConfig(batch_size=20, seed=3)
    places = [number for step in range(6) for number in prompts_at(step, 8, config)]
    epochs = [places[at : at + 8] for at in (0, 8, 16)]
    assert all(sorted(epoch) == list(range(8)) for epoch in epochs) and epochs[0] != epochs[1]
    assert places == [number for step in range(6) for number in prompts_at(step, 8, config)]
    seeds = [sampling_seed(step, rank, config) for step in range(100) for rank in range(8)]
    assert len(set(seeds)) == 800
    assert [round(learning_rate(step, GrpoConfig(learning_rate=1.0, warmup_steps=4)), 2) for step in range(6)] == [
        0.25,
        0.5,
        0.75,
        1,
        1,
        1,
    ]


# ---- the whole of it: a policy from nothing that writes ads, half of them with claims that no ad may make


def careless(prompt) -> tuple[AdText, ...]:
    """References, and as many texts with superlatives and invented discounts."""
    goods = prompt.brief.query
    return (
        *prompt.references,
        AdText(
            title=f"Best {goods.title()} Ever",
            description=f"The best {goods} you will ever find. 100% guaranteed results.",
        ),
        AdText(title=f"{goods.title()} Sale", description=f"Buy {goods} now. 50% off today only."),
    )


@pytest.mark.slow
def test_grpo_teaches_a_careless_writer_to_comply(tmp_path):
    prompts = small_prompts()
    writer = save_small_policy(tmp_path / "base", prompts, width=64)
    teach(writer, {prompt: careless(prompt) for prompt in prompts}, steps=160, learning_rate=5e-3)
    config = GrpoConfig(
        steps=16,
        batch_size=60,
        max_completion=48,
        micro_groups=6,
        learning_rate=4e-4,
        warmup_steps=2,
        checkpoint_every=4,
        terms=Terms.model_validate(
            {"length": {"weight": 1.0}, "format": {"weight": 1.0}, "diversity": {"weight": 0}}
            | {name: {"weight": 2.0, "level": "token"} for name in ("risk", "correctness")}
        ),
        limits=Limits(window=4, kl=5.0, shortest=0.2, distinct=0.0),
    )
    outcome = train_grpo(config, Inputs(policy=str(writer)), prompts, tmp_path / "run")
    steps = curves(tmp_path / "run")
    before, after = steps[:2], steps[-5:]
    assert fmean(curve["compliance"] for curve in after) > fmean(curve["compliance"] for curve in before) + 0.15
    assert fmean(curve["rewards"]["risk"] for curve in after) > fmean(curve["rewards"]["risk"] for curve in before)
    assert fmean(curve["parsed"] for curve in after) > 0.8  # not by writing no ad at all
    assert outcome.stopped is None and 0 < steps[-1]["kl"] < 1
