"""The alerts and dashboards that ship: they parse, and name only metrics that the service exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics import MetricWrapperBase

from app.core import metrics

ROOT = Path(__file__).parents[2]
RULES = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text("utf-8"))
DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
NAME = re.compile(r"\brelate[_:][a-z0-9_:]+")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")


def exported() -> dict[str, set[str]]:
    """The name of every series of the service, with its labels."""
    found: dict[str, set[str]] = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            [family] = metric.describe()
            labels = set(metric._labelnames)
            suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
            for suffix in suffixes:
                found[family.name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return found


def rules() -> Iterator[dict[str, Any]]:
    for group in RULES["groups"]:
        yield from group["rules"]


def expressions() -> list[tuple[str, str]]:
    """Every PromQL expression, by where it stands."""
    found = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text("utf-8"))["panels"]:
            found += [(f"{path.stem}: {panel['title']}", target["expr"]) for target in panel["targets"]]
    return found


SERIES = exported() | {rule["record"]: set() for rule in rules() if "record" in rule}


def test_the_exported_names_are_those_of_the_answer_to_metrics() -> None:
    registry = CollectorRegistry()
    Histogram("relate_example_seconds", "An example.", registry=registry).observe(1)
    assert {sample.name for family in registry.collect() for sample in family.samples} > {
        "relate_example_seconds_bucket", "relate_example_seconds_sum", "relate_example_seconds_count",
    }  # fmt: skip
    assert {"relate_answers_total", "relate_policy_up", "relate_request_seconds_bucket"} <= set(exported())


@pytest.mark.parametrize(("place", "expression"), expressions(), ids=lambda value: value[:60])
def test_an_expression_names_exported_metrics_and_labels_only(place: str, expression: str) -> None:
    named = set(NAME.findall(expression))
    assert named <= set(SERIES), place
    assert named or expression.startswith("up{"), place  # Prometheus' own
    for name, matchers in re.findall(r"(relate_\w+)\{([^}]*)\}", expression):
        assert set(LABEL.findall(matchers)) <= SERIES[name], place


@pytest.mark.parametrize(("place", "expression"), expressions(), ids=lambda value: value[:60])
def test_an_expression_is_valid_promql(place: str, expression: str) -> None:
    parser = pytest.importorskip("promql_parser", reason="promql-parser is not installed")
    assert parser.parse(expression), place


def test_the_operator_is_alerted_on_each_part_of_the_platform() -> None:
    watched = {name for rule in rules() for name in NAME.findall(rule["expr"])}
    assert watched >= {
        "relate_policy_up", "relate_answers_total", "relate_refills_total", "relate_jobs_oldest_queued_seconds",
        "relate_jobs", "relate_last_success_timestamp_seconds", "relate_sample_ratio_alarm", "relate_judged_total",
        "relate_events_rejected_total", "relate_requests_refused_total", "relate_servings_lost_total",
    }  # fmt: skip


@pytest.mark.parametrize("alert", [rule["alert"] for rule in rules() if "alert" in rule])
def test_an_alert_says_how_bad_it_is_and_the_documentation_what_to_do(alert: str) -> None:
    [rule] = [rule for rule in rules() if rule.get("alert") == alert]
    assert rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"]
    assert f"| `{alert}` |" in OPERATIONS


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_has_panels_that_do_not_overlap_over_the_provisioned_data_source(path: Path) -> None:
    dashboard = json.loads(path.read_text("utf-8"))
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))
    corners = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(corners)) == len(corners) > 5
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["datasources"][0]["uid"]}
