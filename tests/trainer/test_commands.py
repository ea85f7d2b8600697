"""The commands from end to end, small: each writes what it promises and prints where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.trainer.logs import save_market
from tests.trainer.small import save_prompts, save_small_policy, small_prompts, teach
from trainer.cli import run
from trainer.gate_report import GateReport
from trainer.reward_model.score import RewardModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts of both splits, a policy that writes ads, two reward models."""
    home: Path = tmp_path_factory.mktemp("commands")
    prompts = small_prompts()
    save_prompts(home / "ads.jsonl", prompts[:4])
    save_prompts(home / "ads.jsonl", prompts[4:], split="held_out")
    writer = save_small_policy(home / "writer", prompts)
    teach(writer, {prompt: prompt.references for prompt in prompts}, steps=100, learning_rate=2e-2)
    snapshot = save_market(home / "snapshot")
    quick = ["members=1", "bottom=[16]", "tower=[]", "epochs=3", "learning_rate=0.01", "batch_cells=64"]
    for name, settings in (("V", ["encoder=hashed"]), ("W", ["encoder=hashed", "seed=1"])):
        options = [f"--set={setting}" for setting in (*quick, *settings)]
        run(["train", "reward", f"--snapshot={snapshot}", f"--out={home / 'models'}", *options])
        trained = next((home / "models").glob("*/manifest.json")).parent
        trained.rename(home / name)
    return home


def arguments(folder: Path, *given: str) -> list[str]:
    return [*given, f"--prompts={folder / 'ads.jsonl'}", f"--cache={folder / 'cache'}"]


def test_sft_trains_an_adapter_and_prints_its_folder(folder, tmp_path, capsys):
    out = tmp_path / "sft"
    given = ["train", "sft", f"--policy={folder / 'writer'}", f"--prompts={folder / 'ads.jsonl'}", f"--out={out}"]
    run([*given, "--set", "lora={rank: 2, alpha: 4}", "--set", "warmup_steps=0"])
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    assert (out / "adapter_model.safetensors").is_file()


def test_dpo_samples_pairs_by_the_reward_model_and_trains(folder, tmp_path, capsys):
    out = tmp_path / "dpo"
    given = ["train", "dpo", f"--policy={folder / 'writer'}", f"--reward-model={folder / 'V'}", f"--out={out}"]
    run([*arguments(folder, *given), "--set", "samples=4", "--set", "batch_size=1", "--set", "lora.rank=2"])
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == str(out) and (out / "adapter_model.safetensors").is_file()
    assert "pairs of 16 samples" in said.err
    assert len((out / "samples.jsonl").read_text().splitlines()) == 1 + 4  # a header, then a line per query


def test_the_gate_writes_its_decision_and_keeps_the_samples(folder, tmp_path, capsys):
    out = tmp_path / "gate"
    models = [f"--reward-model={folder / 'V'}", f"--held-out-reward-model={folder / 'W'}"]
    sides = [f"--champion=writer={folder / 'writer'}", "--challenger=nlg"]
    quick = ["split=held_out", "samples=2", "lines.distinct=null"]
    options = [f"--set={setting}" for setting in quick]
    given = arguments(folder, "evaluate", "gate", *sides, *models, f"--out={out}", *options)
    assert run(given) == 3  # nlg predicts no better
    said = capsys.readouterr().out
    assert "Fail: nlg against writer: " in said.replace("\n", " ") and said.splitlines()[-1] == str(out / "gate.json")
    report = GateReport.read(out)
    decided = {line.measure: line.status for line in report.lines}
    assert all(decided[name] in ("pass", "fail") for name in ("truth", "fluency", "clean"))  # the judge reads English
    assert report.prompts.split == "held_out" and report.texts and report.challenger.digests["policy"] == "nlg"
    assert (out / "held_out" / "writer.jsonl").is_file() and (out / "gate.html").is_file()
    with pytest.raises(ValueError, match="the held-out one must be another"):
        run([*given, f"--held-out-reward-model={folder / 'V'}"])


def test_evaluate_compares_policies_on_held_out_prompts_and_writes_pairs_and_a_page(folder, tmp_path, capsys):
    out = tmp_path / "evaluation"
    models = [f"--reward-model={folder / 'V'}", f"--held-out-reward-model={folder / 'W'}"]
    policies = [f"--policy=writer={folder / 'writer'}", "--policy=nlg"]
    run(arguments(folder, "evaluate", "policy", *policies, *models, f"--out={out}", "--samples=3", "--pairs=2"))
    assert capsys.readouterr().out.splitlines()[-1] == str(out / "report.html") and (out / "report.html").is_file()
    means = json.loads((out / "results.json").read_text())["held_out"]["means"]
    assert {"compliance", "diversity", "ctcvr", "held_out_reward_model", "relevance"} <= means.keys()
    assert means["compliance"][1]["value"] == 1.0  # templates comply
    assert (out / "held_out" / "pairs.csv").is_file() and (out / "held_out" / "pairs_key.csv").is_file()


def test_blind_pairs_of_three_policies_are_refused_before_anything_is_loaded(folder, tmp_path):
    with pytest.raises(ValueError, match="pairs 2 with 3 policies: a pair is of two"):
        run(["evaluate", "policy", *["--policy=nlg"] * 3, f"--out={tmp_path}", "--pairs=2"])


def test_grpo_reads_both_reward_models_and_its_run_has_a_page(folder, tmp_path, capsys):
    out = tmp_path / "run"
    terms = "terms={length: {weight: 1}, ctcvr: {weight: 1, kappa: 0.5}, diversity: {weight: 0.5, level: token}}"
    settings = ["steps=2", "batch_size=10", "max_completion=40", "checkpoint_every=2", "limits.kl=null", terms]
    models = [f"--reward-model={folder / 'V'}", f"--held-out-reward-model={folder / 'W'}"]
    given = ["train", "grpo", f"--policy={folder / 'writer'}", *models, f"--out={out}"]
    run(arguments(folder, *given) + [f"--set={setting}" for setting in settings])
    assert capsys.readouterr().out.splitlines()[-1] == str(out / "policy")
    steps = [json.loads(line) for line in (out / "curves.jsonl").read_text().splitlines()]
    for step in steps:
        assert step["gap"] == pytest.approx(step["rewards"]["ctcvr"] - step["held_out_reward_model"])
    run(["evaluate", "training", f"--run={out}", f"--report={tmp_path / 'training.html'}"])
    assert (tmp_path / "training.html").is_file()


def test_a_reward_model_is_not_held_out_from_itself(folder, tmp_path):
    same = [f"--reward-model={folder / 'V'}", f"--held-out-reward-model={folder / 'V'}"]
    given = ["train", "grpo", f"--policy={folder / 'writer'}", *same, f"--out={tmp_path}", "--set", "batch_size=10"]
    with pytest.raises(ValueError, match="is the reward model itself"):
        run(arguments(folder, *given))


def test_the_ablation_trains_five_configurations_and_writes_its_page(folder, tmp_path):
    settings = ["steps=1", "batch_size=20", "max_completion=40", "limits.kl=null", "checkpoint_every=1"]
    options = [f"--set=settings={json.dumps(settings)}", "--set=seeds=[0]", "--set=samples=2"]
    models = [f"--reward-model={folder / 'V'}", f"--held-out-reward-model={folder / 'W'}"]
    given = ["ablate", f"--policy={folder / 'writer'}", *models, f"--out={tmp_path}", *options]
    run(arguments(folder, *given))
    found = json.loads((tmp_path / "ablation.json").read_text())
    assert found["policies"] == ["start", "model1", "model2", "model3", "model4", "relate"]
    assert {claim["verdict"] for claim in found["claims"]} <= {"holds", "fails", "not resolved"}
    assert (tmp_path / "ablation.html").is_file()


def test_a_reward_model_is_measured_on_advertisers_it_never_saw(folder, tmp_path, capsys):
    page = tmp_path / "reward.html"
    run(["evaluate", "reward", f"--model={folder / 'V'}", f"--snapshot={folder / 'snapshot'}", f"--report={page}"])
    assert page.is_file() and "AUC inside a brief" in capsys.readouterr().out
    assert RewardModel.load(folder / "V").version.encoder.startswith("hashed@")
