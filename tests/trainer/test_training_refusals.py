"""What cannot be trained is refused with one line that names the value and the way out, before a model loads."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from adtext.rules import load_rules
from tests.trainer.small import save_small_policy, small_prompts
from trainer.baselines.dpo import Preference, train_dpo
from trainer.baselines.nlg import Nlg
from trainer.baselines.sft import train_sft
from trainer.commands import dpo
from trainer.config import ConfigError, DpoConfig, GrpoConfig, SftConfig, load_config
from trainer.evaluation.sampling import Entrant, Sampling, sample
from trainer.grpo.setup import Inputs
from trainer.grpo.train import train_grpo
from trainer.prompts import Prompt

GRPO = GrpoConfig.model_validate(
    {"batch_size": 4, "group_size": 2, "max_completion": 8, "terms": {"length": {"weight": 1.0}}}
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prompts = small_prompts() + small_prompts("zh")
    return save_small_policy(tmp_path_factory.mktemp("refusals") / "base", prompts, width=16)


@pytest.fixture(autouse=True)
def nothing_loads(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", None)


def pairs(prompts: list[Prompt]) -> list[Preference]:
    return [Preference(prompt, *small_prompts()[0].references) for prompt in prompts]


TRAINERS = {
    "sft": lambda base, prompts, out: train_sft(base, prompts, SftConfig(lora=None), out),
    "dpo": lambda base, prompts, out: train_dpo(base, pairs(prompts), DpoConfig(lora=None), out),
    "grpo": lambda base, prompts, out: train_grpo(GRPO, Inputs(policy=base), prompts, out),
    "evaluation": lambda base, prompts, out: sample(
        Entrant("a", base), prompts, Sampling(), out / "a.jsonl", load_rules(), nlg=Nlg()
    ),
}
trainers = pytest.mark.parametrize("trainer", TRAINERS.values(), ids=TRAINERS)


def refused(trainer, base, prompts, out) -> str:
    with pytest.raises(ConfigError) as raised:
        trainer(str(base), prompts, out)
    said = str(raised.value)
    assert "\n" not in said
    return said


@trainers
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_prompt_that_is_longer_than_the_context_is_refused(trainer, base, tmp_path, language) -> None:
    prompts = small_prompts(language)
    page = ("手工羊毛袜 " if language == "zh" else "zq7 xv3 ") * 2000
    ad = prompts[1].brief.ad.model_copy(update={"selling_points": tuple([page[:400]] * 20)})
    long = replace(prompts[1], brief=prompts[1].brief.model_copy(update={"ad": ad}))
    said = refused(trainer, base, [prompts[0], long], tmp_path)
    assert f"1 of 2 queries are longer than the 2048 tokens that {base} reads" in said
    assert repr(long.brief.query) in said


@pytest.mark.parametrize("trainer", [TRAINERS["sft"], TRAINERS["grpo"]], ids=["sft", "grpo"])
def test_an_empty_data_set_is_refused(trainer, base, tmp_path) -> None:
    assert "there are no queries to train on" in refused(trainer, base, [], tmp_path)


def test_dpo_refuses_a_start_before_it_samples_it(base, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("trainer.evaluation.sampling.sample", None)
    monkeypatch.setattr("trainer.reward_model.score.RewardModel.load", lambda *_, **__: None)
    (tmp_path / "start").mkdir()
    given = {"config_file": None, "prompts_file": None, "cache": None, "threads": 1, "changes": []}
    with pytest.raises(ConfigError, match=r"holds no config\.json"):
        dpo.run(policy=str(tmp_path / "start"), base=None, reward_model=tmp_path, out=tmp_path / "dpo", **given)


def test_queries_without_references_are_no_fine_tuning(base, tmp_path) -> None:
    prompts = small_prompts("zh")
    bare = [prompts[0], replace(prompts[1], references=())]
    said = refused(TRAINERS["sft"], base, bare, tmp_path / "sft")
    assert "1 of 4 queries" not in said and "1 of 2 queries have no reference text" in said and "橡木书架" in said
    assert not (tmp_path / "sft").exists()


@pytest.mark.parametrize("trainer", [TRAINERS["sft"], TRAINERS["dpo"]], ids=["sft", "dpo"])
def test_fine_tuning_is_not_split_over_several_visible_gpus(trainer, base, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    said = refused(trainer, base, small_prompts(), tmp_path)
    assert said.startswith("4 GPUs are visible") and "CUDA_VISIBLE_DEVICES=0" in said


@trainers
@pytest.mark.parametrize("broken", ["no folder of a model", "no template", "no tokenizer"])
def test_a_start_that_is_no_chat_model_is_refused(trainer, base, tmp_path, broken) -> None:
    start = tmp_path / "start"
    shutil.copytree(base, start)
    if broken == "no folder of a model":
        (start / "config.json").unlink()
        expected = "holds no config.json"
    elif broken == "no template":
        (start / "chat_template.jinja").unlink(missing_ok=True)
        path = start / "tokenizer_config.json"
        settings = json.loads(path.read_text())
        settings.pop("chat_template", None)
        path.write_text(json.dumps(settings))
        expected = "the tokenizer has no chat template"
    else:
        for path in start.glob("tokenizer*"):
            path.unlink()
        expected = "holds no tokenizer that can be read"
    assert expected in refused(trainer, start, small_prompts(), tmp_path / "out")


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf"])
@pytest.mark.parametrize(
    "name",
    [
        "alpha", "beta", "drift", "sampler_cap", "learning_rate", "clip_high", "max_grad_norm", "limits.kl",
        "limits.gap", "limits.longest", "limits.distinct", "dual.rate", "terms.length.weight",
    ],
)  # fmt: skip
def test_what_is_no_finite_number_silences_no_guard(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name}.* is not a finite number"):
        load_config(GrpoConfig, None, ["terms={length: {weight: 1.0}}", f"{name}={value}"])
