"""The gate: a challenger passes where it loses nothing and gains for certain, and every line says why."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from trainer.bootstrap import UNKNOWN, Interval
from trainer.config import ConfigError, GateConfig, GateLine, GateLines, load_config
from trainer.evaluation.compare import PolicyComparison
from trainer.evaluation.gate import decide, passes
from trainer.evaluation.gate_page import write_gate_page
from trainer.gate_report import GateReport, Prompts, Side, SideBySide

CONFIGS = Path(__file__).parents[2] / "trainer" / "configs"
# RELATE table 3, at step 150: structural quality, CTCVR in percent, diversity, semantic quality
TABLE_3 = {
    "Model 1": (0.937, 0.128, 0.478, 0.881),
    "Model 2": (0.834, 0.450, 0.211, 0.658),
    "Model 3": (0.824, 0.320, 0.894, 0.621),
    "Model 4": (0.812, 0.184, 0.923, 0.935),
    "RELATE": (0.815, 0.203, 0.965, 0.939),
}
CHAMPION = {
    "structure": 0.9,
    "clean": 0.9,
    "truth": 0.9,
    "fluency": 0.9,
    "diversity": 0.9,
    "semantics": 0.9,
    "distinct": 4.5,
    "ctcvr": 0.002,
    "held_out_reward_model": 0.002,
}
BETTER = CHAMPION | {"ctcvr": 0.003, "held_out_reward_model": 0.003}
DEFAULT = GateConfig()


def compared(champion: dict[str, float], challenger: dict[str, float], spread: float = 0.01) -> PolicyComparison:
    """A comparison in which every interval is the value plus or minus `spread` times the champion's value."""

    def interval(value: float, scale: float) -> Interval:
        return Interval(value, value - spread * abs(scale), value + spread * abs(scale))

    means = {
        name: (interval(champion[name], champion[name]), interval(value, value)) for name, value in challenger.items()
    }
    differences = {
        name: (Interval(0, 0, 0), interval(value - champion[name], champion[name]))
        for name, value in challenger.items()
    }
    return PolicyComparison(("champion", "challenger"), means, differences, 40, (800, 800))


def table_3(model: str) -> dict[str, float]:
    structure, ctcvr, diversity, semantics = TABLE_3[model]
    rate = ctcvr / 100
    shown = {"structure": structure, "diversity": diversity, "semantics": semantics}
    return CHAMPION | shown | {"ctcvr": rate, "held_out_reward_model": rate}


def failed(comparison: PolicyComparison, config: GateConfig = DEFAULT) -> set[str]:
    return {line.measure for line in decide(comparison, config) if line.blocks}


# ---- the decision


@pytest.mark.parametrize("champion", ["Model 1", "Model 3", "Model 4", "RELATE"])
def test_model_2_of_table_3_fails_on_diversity_whatever_its_ctcvr(champion):
    lines = decide(compared(table_3(champion), table_3("Model 2")), DEFAULT)
    by_measure = {line.measure: line for line in lines}
    assert by_measure["ctcvr"].status == by_measure["held_out_reward_model"].status == "pass"
    assert by_measure["diversity"].status == "fail" and not passes(lines)


def test_model_2_fails_even_against_a_champion_as_collapsed_as_itself():
    collapsed = table_3("Model 2") | {"ctcvr": 0.001, "held_out_reward_model": 0.001}
    assert failed(compared(collapsed, table_3("Model 2"))) == {"diversity"}


def test_relate_of_table_3_passes_over_model_4():
    assert passes(decide(compared(table_3("Model 4"), table_3("RELATE")), DEFAULT))


@pytest.mark.parametrize("measure", [name for name in CHAMPION if "ctcvr" not in name and "reward" not in name])
def test_a_loss_beyond_the_margin_fails_its_line_alone(measure):
    margin = getattr(DEFAULT.lines, measure).margin
    worse = BETTER | {measure: CHAMPION[measure] - 2 * margin}
    assert failed(compared(CHAMPION, worse)) == {measure}
    within = BETTER | {measure: CHAMPION[measure] - margin / 2}
    assert failed(compared(CHAMPION, within)) == set()


@pytest.mark.parametrize("measure", ["ctcvr", "held_out_reward_model"])
def test_both_reward_models_must_agree_that_it_is_better(measure):
    assert failed(compared(CHAMPION, BETTER | {measure: CHAMPION[measure]})) == {measure}


def test_a_gain_that_the_interval_does_not_hold_is_no_gain():
    wide = compared(CHAMPION, BETTER, spread=0.6)
    assert {"ctcvr", "held_out_reward_model"} <= failed(wide)
    reason = next(line.reason for line in decide(wide, DEFAULT) if line.measure == "ctcvr")
    assert reason == "not better: the difference may be -0.200 ‰"


def test_few_distinct_texts_fail_the_floor_even_where_the_champion_has_no_more():
    same = {"distinct": 1.5}
    assert failed(compared(CHAMPION | same, BETTER | same)) == {"distinct"}


@pytest.mark.parametrize("measure", ["truth", "fluency", "ctcvr", "held_out_reward_model"])
def test_a_line_that_cannot_be_decided_fails_unless_the_config_says_so(measure):
    unmeasured = {name: value for name, value in BETTER.items() if name != measure}
    lines = decide(compared(CHAMPION, unmeasured), DEFAULT)
    (line,) = [line for line in lines if line.blocks]
    assert (line.measure, line.status) == (measure, "undecided") and line.reason.startswith("not decided: no ")
    optional = load_config(GateConfig, None, [f"lines.{measure}.required=false"])
    assert passes(decide(compared(CHAMPION, unmeasured), optional))
    left_out = load_config(GateConfig, None, [f"lines.{measure}=null"])
    assert measure not in {line.measure for line in decide(compared(CHAMPION, unmeasured), left_out)}


def test_a_measure_without_a_value_is_not_decided():
    comparison = compared(CHAMPION, BETTER)
    means = comparison.means | {"ctcvr": (UNKNOWN, UNKNOWN)}  # no text parses
    blank = PolicyComparison(comparison.policies, means, comparison.differences, 40, (800, 800))
    assert failed(blank) == {"ctcvr"}


def test_the_gate_compares_two_policies():
    with pytest.raises(ValueError, match="1 policies: the gate compares"):
        decide(PolicyComparison(("champion",), {}, {}, 1, (1,)), DEFAULT)


# ---- its config


def test_the_shipped_config_is_the_default():
    assert load_config(GateConfig, CONFIGS / "gate.yaml") == DEFAULT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("lines.truht={margin: 1}", "lines.truht: no such setting; there are structure, clean, truth"),
        ("lines.ctcvr={rule: better, margin: 0.1}", "a margin is of rule no_worse, remove it"),
        ("lines.clean.margin=-1", "lines.clean.margin -1.* must be at least 0"),
        ("lines.distinct.floor=5", "with 5 samples per prompt"),
        ("split=test", "split 'test' is unknown"),
    ],
)
def test_a_config_that_cannot_decide_is_refused(change, said):
    with pytest.raises(ConfigError, match=said):
        load_config(GateConfig, None, [change])


def test_a_gate_without_lines_is_refused():
    nothing = ", ".join(f"{name}: null" for name in GateLines.model_fields)
    with pytest.raises(ConfigError, match="every policy would pass"):
        load_config(GateConfig, None, [f"lines={{{nothing}}}"])
    assert GateLines(truth=None).configured()["ctcvr"] == GateLine(rule="better")


# ---- the report


def a_report(challenger: dict[str, float] = BETTER) -> GateReport:
    lines = decide(compared(CHAMPION, challenger), DEFAULT)
    return GateReport(
        decided_at="2026-11-22T08:00:00Z",
        champion=Side(name="relate-1", digests={"policy": "aa"}),
        challenger=Side(name="relate-2", digests={"policy": "bb"}),
        prompts=Prompts(split="validation", language="zh", advertisers=40, prompts=160, digest="cc"),
        reward_models={"ctcvr": "dd", "held_out_reward_model": "ee"},
        config=DEFAULT.model_dump(mode="json"),
        lines=lines,
        texts=[SideBySide(query="宽脚跑鞋", advertiser="青禾", champion="标题：<b>", challenger="幅広設計の靴")],
        passed=passes(lines),
    )


def test_a_report_reads_back_as_it_was_written(tmp_path):
    report = a_report()
    assert report.write(tmp_path) == tmp_path / "gate.json"
    assert GateReport.read(tmp_path) == GateReport.read(tmp_path / "gate.json") == report
    assert report.sentence == "Pass: relate-2 against relate-1, every line."


def test_a_report_whose_decision_was_changed_is_refused(tmp_path):
    content = json.loads(a_report(BETTER | {"diversity": 0.2}).model_dump_json())
    with pytest.raises(ValidationError, match="passed is true and 1 lines block"):
        GateReport.model_validate_json(json.dumps(content | {"passed": True}))
    (tmp_path / "gate.json").write_text("{}")
    with pytest.raises(ValueError, match="is no report of the gate"):
        GateReport.read(tmp_path)


def test_the_page_says_pass_or_fail_by_line_with_texts_side_by_side(tmp_path):
    report = a_report({name: value for name, value in BETTER.items() if name != "truth"} | {"diversity": 0.2})
    page = write_gate_page(tmp_path / "gate.html", report).read_text(encoding="utf-8")
    body = page[page.index("</script>") :]
    assert "Fail: relate-2 against relate-1: truth (judge): not decided: no judge scored the texts; Diversity" in body
    assert '<b class="down">fail</b>' in body and '<b class="up">pass</b>' in body and "not decided" in body
    assert "宽脚跑鞋" in body and "幅広設計の靴" in body and "<b>标题" not in body and "标题：&lt;b&gt;" in body
