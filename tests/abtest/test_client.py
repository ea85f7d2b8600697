"""The notebook's client: one call under two spellings, refusals in words, and tables that escape what they show."""

import sys

import httpx
import pytest

import abtest
from abtest.document import Banner, LiftAnswer, MetricAnswer, Rate
from abtest.report import Report, report

HOSTILE = "<script>alert('広告')</script>"


@pytest.mark.parametrize("fetch", [abtest.report, report])
def test_both_spellings_fetch_a_report_and_tell_a_refusal(monkeypatch, fetch):
    asked = []

    def refuse(url: str, **options: object) -> httpx.Response:
        asked.append((url, options["params"], options["headers"]))
        return httpx.Response(404, json={"detail": "there is no experiment '无'"})

    monkeypatch.setattr(httpx, "get", refuse)
    with pytest.raises(ValueError, match=r"http://relate\.test answered 404: there is no experiment '无'"):
        fetch("http://relate.test", "无", key="rk_1", phase=2)
    assert asked == [
        (
            "http://relate.test/experiments/无/report",
            {"phase": 2, "view": "valid", "tz": "UTC"},
            {"Authorization": "Bearer rk_1"},
        )
    ]


def test_no_function_hides_the_module_of_its_name():
    assert abtest.report is sys.modules["abtest.report"]


def test_a_notebooks_table_escapes_what_it_shows():
    lift = LiftAnswer(
        value=0.5, low=0.048, high=None, p_value=0.0285, z=2.19, difference=0.004, se=0.002, method="exact", note=""
    )
    metric = MetricAnswer(
        arm=HOSTILE, metric="ctcvr", control=Rate(numerator=40, denominator=5000, value=0.008),
        treatment=Rate(numerator=60, denominator=5000, value=0.012), lift=lift, always_valid=lift, log=lift,
        adjusted_p=0.0285, adjusted_always_valid_p=None, evidence="tagged",
    )  # fmt: skip
    shown = Report.model_construct(
        banners=[Banner(kind="two_arms", level="warning", sentence=HOSTILE)],
        headline=HOSTILE,
        decision="The always-valid interval decides.",
        metrics=[metric],
    )._repr_html_()
    assert "<script>" not in shown
    assert shown.count("&lt;script&gt;") == 3
    assert "<td>+50 %</td><td>+4.8 % to no upper limit</td><td>0.0285</td>" in shown
    assert "<td>0.800%<br><small>40 / 5,000</small></td>" in shown
