"""The ablation's reading: a claim holds by its paired interval or not at all; figure 3 and the run's page show what
was logged.
"""

import json
from itertools import pairwise

import numpy as np
import pytest
from builders import A_SPEC, a_brief, an_ad

from adtext.prompt import write
from adtext.rules import load_rules
from trainer.bootstrap import Interval
from trainer.config import AblateConfig, ConfigError, GrpoConfig, load_config
from trainer.evaluation.ablation import CLAIMS, CONFIGS, CONFIGURATIONS, START, Claim, write_ablation
from trainer.evaluation.curves import figure_3, quality, read_lines
from trainer.evaluation.metrics import Measured
from trainer.evaluation.training_report import shaded, write_training_report
from trainer.prompts import Prompt
from trainer.rewards.base import read

RULES = load_rules()
COLUMNS = ("structure", "ctcvr", "diversity", "semantics")
PAPER = {  # RELATE table 3
    "start": (0.8, 0.0012, 0.5, 0.8),
    "model1": (0.937, 0.00128, 0.478, 0.881),
    "model2": (0.834, 0.0045, 0.211, 0.658),
    "model3": (0.824, 0.0032, 0.894, 0.621),
    "model4": (0.812, 0.00184, 0.923, 0.935),
    "relate": (0.815, 0.00203, 0.965, 0.939),
}


def run_folder(tmp_path, name="model1", seed=0, steps=4):
    """A finished run as the loop leaves it."""
    folder = tmp_path / name / f"seed{seed}"
    folder.mkdir(parents=True)
    rewards = {
        "length": 1.0,
        "format": 0.5,
        "relevance": 0.6,
        "correctness": 0.9,
        "risk": 0.9,
        "diversity": 0.7,
        "ctcvr": 0.5,
    }
    curves = [
        {
            "step": step,
            "rewards": {term: value + 0.01 * (step + seed) for term, value in rewards.items()},
            "spread": {"length": 0.1},
            "kl": 0.01 * step,
            "entropy": 1.0,
            "clip_share": 0.0,
            "zero_signal_share": 0.1,
            "length": 40.0,
            "distinct": 4.5,
            "finished": 1.0,
            "compliance": 0.8,
            "gap": None,
            "grad_norm": 1.0,
            "seconds": {"rollout": 1.0, "optimise": 2.0},
        }
        for step in range(steps)
    ]
    samples = [
        {
            "step": step,
            "advertiser": "Café <Zürich>",
            "query": "跑鞋 & socks",
            "text": "Title: Best",
            "tokens": ["Title", ": ", "<Best>"],
            "charges": [0.0, 0.0, -2.0],
            "scores": {"risk": 0.0},
            "advantage": -1.2,
            "findings": ["absolute_claim"],
        }
        for step in range(steps)
    ]
    for file, rows in (("curves.jsonl", curves), ("samples.jsonl", samples)):
        (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "outcome.json").write_text(json.dumps({"chosen": 4, "steps": 4, "stopped": None}), encoding="utf-8")
    return folder


def measured(name, values, spread=0.0, advertisers=12):
    chance = np.random.default_rng(len(name)).normal(size=advertisers)
    prompts = [Prompt(a_brief(locale="en-US", id=f"ad-{at}"), A_SPEC, (), "held_out") for at in range(advertisers)]
    samples = [read(prompt, write(an_ad(locale="en-US"), "en"), RULES) for prompt in prompts]
    return Measured(
        name, samples, {column: value * (1 + spread * chance) for column, value in zip(COLUMNS, values, strict=True)}
    )


def verdicts(page):
    body = page[page.index("What holds") : page.index("Figure 3")]
    return [verdict for claim in CLAIMS for verdict in [body[body.index(claim.words) :].split("<td>")[2].split("<")[0]]]


def test_the_papers_own_table_3_bears_out_its_words(tmp_path):
    runs = [run_folder(tmp_path, name).parent for name in CONFIGURATIONS]
    table = {name: measured(name, values) for name, values in PAPER.items()}
    page = write_ablation(table, runs, [0], tmp_path / "ablation.html").read_text(encoding="utf-8")
    assert verdicts(page) == ["holds"] * len(CLAIMS)
    numbers = json.loads((tmp_path / "ablation.json").read_text(encoding="utf-8"))
    assert [claim["verdict"] for claim in numbers["claims"]] == ["holds"] * len(CLAIMS)
    assert numbers["means"]["ctcvr"][0]["value"] == pytest.approx(PAPER[numbers["policies"][0]][COLUMNS.index("ctcvr")])


def test_what_noise_hides_is_not_resolved(tmp_path):
    runs = [run_folder(tmp_path, name).parent for name in CONFIGURATIONS]
    table = {name: measured(name, PAPER["model1"], spread=0.5) for name in PAPER}
    page = write_ablation(table, runs, [0], tmp_path / "ablation.html").read_text(encoding="utf-8")
    assert set(verdicts(page)) == {"not resolved"}


@pytest.mark.parametrize(
    ("direction", "interval", "verdict"),
    [
        ("up", Interval(0.2, 0.1, 0.3), "holds"),
        ("up", Interval(-0.2, -0.3, -0.1), "fails"),
        ("down", Interval(-0.2, -0.3, -0.1), "holds"),
        ("down", Interval(0.2, 0.1, 0.3), "fails"),
        ("up", Interval(0.1, -0.1, 0.3), "not resolved"),
    ],
)
def test_a_claim_is_judged_by_its_interval_alone(direction, interval, verdict):
    assert Claim("", "relate", "model4", "diversity", direction).verdict(interval) == verdict


def test_the_start_is_measured_beside_the_configurations(tmp_path):
    assert START in PAPER and set(CONFIGURATIONS) == set(PAPER) - {START}


# ---- curves


def test_structural_and_semantic_quality_are_means_of_their_terms():
    curve = {
        "rewards": {"length": 1.0, "format": 0.5, "relevance": 0.3, "correctness": 0.6, "risk": 0.9, "diversity": 0.7}
    }
    found = [quality(curve, name) for name in ("structure", "semantics", "diversity")]
    assert found == pytest.approx([0.75, 0.6, 0.7])
    assert quality(curve, "ctcvr") is None


def test_figure_3_draws_the_mean_of_seeds_inside_their_band(tmp_path):
    seeds = [read_lines(run_folder(tmp_path, seed=seed) / "curves.jsonl") for seed in (0, 1, 2)]
    figure = figure_3({"model1": seeds})
    band, line = figure.data[:2]
    assert line.y[0] == pytest.approx(0.76) and band.y[0] == pytest.approx(0.77) and band.y[-1] == pytest.approx(0.75)
    assert len(figure.data) == 8


def test_charged_tokens_are_shaded_and_markup_is_escaped():
    html = shaded(["Title", ": ", "<最好>"], [0.0, 0.0, -2.0])
    assert html.startswith("Title: <span") and "&lt;最好&gt;</span>" in html and 'title="-2"' in html


def test_a_runs_page_shows_its_texts_and_works_offline(tmp_path):
    page = write_training_report(run_folder(tmp_path), tmp_path / "training.html").read_text(encoding="utf-8")
    body = page[page.index("</script>") :]
    assert "Café &lt;Zürich&gt;" in body and "跑鞋 &amp; socks" in body and "&lt;Best&gt;</span>" in body
    assert "The policy is that of step 4" in body and "0 minutes" in body and 'src="http' not in page


@pytest.mark.parametrize("content", [None, "", "{"])
def test_a_folder_without_a_run_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "curves.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"curves\.jsonl"):
        write_training_report(tmp_path, tmp_path / "training.html")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("seeds=[0, 0]", "must be different numbers"),
        ("seeds=[]", "seeds: .*at least 1 item"),
        ("held_out=0", "held_out 0"),
    ],
)
def test_a_wrong_setting_stops_before_a_model_loads(setting, said):
    with pytest.raises(ConfigError, match=said):
        load_config(AblateConfig, None, [setting])


@pytest.mark.parametrize("file", ["ablate_small.yaml", "ablate_smollm2.yaml"])
def test_packaged_ablations_change_the_reward_of_a_configuration_and_nothing_else(file):
    ablation = load_config(AblateConfig, CONFIGS / file)
    runs = [load_config(GrpoConfig, CONFIGS / f"grpo_{name}.yaml", ablation.settings) for name in CONFIGURATIONS]
    alike = {run.with_changes(terms=runs[0].terms).model_dump_json() for run in runs}
    assert len(alike) == 1
    sentence, token = ([run.terms.weights(level) for run in runs] for level in ("sentence", "token"))
    active = [more.keys() | less.keys() for more, less in zip(sentence, token, strict=True)]
    assert all(fewer < more for fewer, more in pairwise(active[:4])) and active[3] == active[4], (
        "each adds to the one before (table 2)"
    )
    assert not token[3] and token[4], "RELATE alone charges tokens"
