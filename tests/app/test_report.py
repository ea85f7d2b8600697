"""The report: what an analyst reads of an experiment, in words and numbers."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta

import pyarrow.parquet as pq
import pytest
from counting import DAY, HOUR, a_funnel, an_event
from reported import LATER, MATURE, NOW, SHOWN, fill

from abtest.report import Report, report
from abtest.stats import FunnelSums, always_valid_lift, ratio_lift
from app.services.reports import reading


@pytest.fixture(autouse=True)
def four_days_later(monkeypatch):
    """Reports are read after the impressions have matured."""
    monkeypatch.setattr(reading, "now", lambda: LATER)


async def test_the_numbers_are_those_of_the_statistics_on_the_units_sums(ad_system):
    phase = (await ad_system.experiment(planned_units=400))["phase"]
    await fill(ad_system, phase, units=(200, 200), converted=(60, 95), impressions=2)
    found = await ad_system.read(as_of=MATURE)
    sums = [FunnelSums(**found["method"]["sums"][arm["arm"]]) for arm in found["arms"]]
    assert [(arm.n, arm.impressions, arm.clicks, arm.conversions) for arm in sums] == [
        (200, 400, 107, 60),
        (200, 400, 130, 95),
    ]
    assert (sums[0].sum_ii, sums[0].sum_iv, sums[0].sum_vv) == (800, 120, 60)
    ctcvr = next(row for row in found["metrics"] if row["metric"] == "ctcvr")
    fixed = ratio_lift(sums[1].ctcvr, sums[0].ctcvr)
    daily = always_valid_lift(sums[1].ctcvr, sums[0].ctcvr, planned_units=400)
    assert (ctcvr["lift"]["value"], ctcvr["lift"]["low"], ctcvr["lift"]["p_value"]) == (
        fixed.value,
        fixed.low,
        fixed.p_value,
    )
    assert (ctcvr["always_valid"]["low"], ctcvr["always_valid"]["p_value"]) == (daily.low, daily.p_value)
    assert ctcvr["control"] == {"numerator": 60, "denominator": 400, "value": 0.15}
    assert found["verdicts"][0]["status"] == "better"
    assert found["headline"].startswith("treatment-1 is better: CTCVR +58 % (")
    # the impressions' day is whole only as of later: until then no fixed interval decides
    later = await ad_system.read()
    assert [(read["decided_by"], read["verdicts"][0]["decided_by"]) for read in (found, later)] == [
        ("always_valid", "always_valid"),
        ("fixed", "fixed"),
    ]


async def test_a_verdict_is_never_no_effect(ad_system):
    phase = (await ad_system.experiment(planned_units=100_000))["phase"]
    await fill(ad_system, phase, units=(150, 150), converted=(60, 62))
    found = await ad_system.read(as_of=MATURE)
    assert found["verdicts"][0]["status"] == "no_clear_difference"
    assert found["headline"].startswith("No clear difference yet, −")
    assert "no effect" not in found["headline"]


async def test_few_conversions_get_counts_an_exact_interval_and_no_verdict(ad_system):
    phase = (await ad_system.experiment())["phase"]
    await fill(ad_system, phase, units=(60, 60), converted=(2, 7))
    found = await ad_system.read(as_of=MATURE)
    ctcvr = found["metrics"][0]
    assert (found["verdicts"][0]["status"], ctcvr["lift"]["method"], ctcvr["evidence"]) == (
        "too_early",
        "exact",
        "counts",
    )
    assert "low_counts" in {banner["kind"] for banner in found["banners"]}
    assert ctcvr["always_valid"]["low"] is None


async def test_lost_units_withhold_the_verdict(ad_system):
    phase = (await ad_system.experiment(planned_units=400))["phase"]
    await fill(ad_system, phase, units=(200, 100), converted=(60, 60))
    found = await ad_system.read(as_of=MATURE)
    assert found["banners"][0]["kind"] == "sample_ratio"
    assert [ratio["alarm"] for ratio in found["sample_ratio"] if ratio["counted"] == "exposed"] == [True]
    assert found["headline"].startswith("No verdict: units did not fall into the arms as configured")


async def test_impressions_that_are_not_yet_mature_stand_beside_and_never_count(ad_system):
    phase = (await ad_system.experiment())["phase"]
    await fill(ad_system, phase, units=(9, 9), converted=(3, 3))
    now, later = await ad_system.read(as_of=NOW.isoformat()), await ad_system.read(as_of=MATURE)
    assert [(arm["impressions"], arm["immature_impressions"]) for report in (now, later) for arm in report["arms"]] == [
        (0, 9),
        (0, 9),
        (9, 0),
        (9, 0),
    ]
    assert now["headline"].startswith("Nothing to compare yet")
    assert [banner["kind"] for banner in now["banners"]] == ["no_data"]


async def test_both_views_are_told_and_invalid_traffic_leaves_the_valid_one(ad_system):
    phase = (await ad_system.experiment())["phase"]
    human, bot, hasty = (ad_system.serve(f"u-{i}", phase=phase, arm=0, at=SHOWN) for i in range(3))
    await ad_system.report(
        an_event(human, at=SHOWN),
        an_event(bot, at=SHOWN, invalid_reason="data centre"),
        an_event(hasty, at=SHOWN),
        an_event(hasty, "click", SHOWN + timedelta(milliseconds=120)),
    )
    valid, everything = await ad_system.read(as_of=MATURE), await ad_system.read(as_of=MATURE, view="all")
    assert (valid["arms"][0]["impressions"], valid["arms"][0]["invalid_impressions"]) == (1, 2)
    assert (everything["arms"][0]["impressions"], everything["arms"][0]["clicks"]) == (3, 1)


async def test_the_course_ends_at_the_headline_and_the_cohorts_hold_every_unit_once(ad_system):
    phase = (await ad_system.experiment())["phase"]
    await fill(ad_system, phase, units=(90, 90), converted=(40, 40), days=3)
    found = await ad_system.read(as_of=LATER.isoformat())
    assert len(found["daily"]) == len(found["cohorts"]) == 3
    assert (found["daily"][-1]["value"], found["daily"][-1]["units"]) == (found["metrics"][0]["lift"]["value"], 180)
    assert sum(point["units"] for point in found["cohorts"]) == 180


async def test_a_weight_change_opens_a_phase_with_a_report_of_its_own(ad_system):
    phase = (await ad_system.experiment())["phase"]
    await fill(ad_system, phase, units=(9, 9), converted=(3, 3))
    await ad_system.client.post(
        "/experiments/title-test/weights", json={"weights": [1, 3]}, headers=ad_system.keys["ops"]
    )
    latest, first = await ad_system.read(as_of=MATURE), await ad_system.read(as_of=MATURE, phase=1)
    assert [(phase["phase"], phase["arms"][0]["units"]) for phase in (latest, first)] == [(2, 0), (1, 9)]
    gone = await ad_system.client.get(
        "/experiments/title-test/report", params={"phase": 3}, headers=ad_system.keys["report"]
    )
    assert (gone.status_code, gone.json()["rule"]) == (404, "unknown_phase")


async def test_earlier_phases_stay_readable(ad_system):
    phase = (await ad_system.experiment(planned_units=100))["phase"]
    await fill(ad_system, phase, units=(200, 200), converted=(40, 90))
    await ad_system.client.post(
        "/experiments/title-test/weights", json={"weights": [1, 3]}, headers=ad_system.keys["ops"]
    )
    results = (await ad_system.read())["phase_results"]
    assert [(result["phase"], result["units"], result["verdicts"][0]["status"]) for result in results] == [
        (1, 400, "better"),
        (2, 0, "nothing_to_compare"),
    ]
    assert results[0]["weights"] == {"control": 5000, "treatment-1": 5000}
    assert results[0]["headline"] == (await ad_system.read(phase=1))["headline"]


@pytest.mark.parametrize("change", ["stop", "weights"])
async def test_ending_a_phase_early_never_switches_to_the_fixed_interval(ad_system, change):
    """40 against 59 of 200 units: p 0.026 for the fixed interval, and nothing for the always-valid one."""
    phase = (await ad_system.experiment(planned_units=1000))["phase"]
    await fill(ad_system, phase, units=(200, 200), converted=(40, 59))
    before = await ad_system.read()
    body = {"json": {"weights": [1, 3]}} if change == "weights" else {}
    answer = await ad_system.client.post(f"/experiments/title-test/{change}", headers=ad_system.keys["ops"], **body)
    assert answer.status_code == 200
    after = await ad_system.read(phase=1)
    assert before["metrics"][0]["adjusted_p"] < 0.05
    assert [(found["verdicts"][0]["status"], found["decided_by"]) for found in (before, after)] == [
        ("leaning_better", "always_valid")
    ] * 2
    assert "until the 1,000 planned units are mature (400 so far, expected on" in before["decision"]
    assert "ending early never switches to the fixed interval" in after["decision"]


async def test_the_fixed_interval_decides_once(ad_system):
    """The verdict of the day on which the planned units were mature stands, whatever comes later."""
    phase = (await ad_system.experiment(planned_units=300))["phase"]
    await fill(ad_system, phase, units=(150, 150), converted=(40, 62), at=SHOWN - DAY)
    decided = await ad_system.read()
    assert (decided["decided_by"], decided["verdicts"][0]["status"]) == ("fixed", "better")
    day = (SHOWN - DAY).date()
    assert decided["decision"].startswith(f"The fixed interval decided once, on {day}, when the 300 planned units")
    await fill(ad_system, phase, units=(150, 150), converted=(60, 30), prefix="later")
    moved = await ad_system.read()
    assert moved["metrics"][0]["lift"]["value"] < 0
    assert (moved["verdicts"], moved["decision"]) == (decided["verdicts"], decided["decision"])


async def test_several_treatments_share_one_promise(ad_system):
    phase = (await ad_system.experiment(arms=3, planned_units=600))["phase"]
    await fill(ad_system, phase, units=(200, 200), converted=(60, 84))
    token_events = []
    for i in range(200):
        token = ad_system.serve(f"u-2-{i}", phase=phase, arm=2, at=SHOWN)
        token_events += a_funnel(token, SHOWN, converted=i < 60)
    await ad_system.report(*token_events)
    found = await ad_system.read(as_of=MATURE)
    ctcvr = [row for row in found["metrics"] if row["metric"] == "ctcvr"]
    assert [row["arm"] for row in ctcvr] == ["treatment-1", "treatment-2"]
    assert ctcvr[0]["adjusted_p"] == pytest.approx(2 * ctcvr[0]["lift"]["p_value"])


async def test_breakdowns_warn_of_many_comparisons(ad_system):
    phase = (await ad_system.experiment())["phase"]
    await fill(ad_system, phase, units=(90, 90), converted=(40, 60))
    answers = {
        dimension: await ad_system.client.get(
            f"/experiments/title-test/breakdowns/{dimension}",
            params={"as_of": MATURE},
            headers=ad_system.keys["report"],
        )
        for dimension in ("source", "locale", "industry", "platform")
    }
    assert [row["value"] for row in answers["source"].json()["rows"]] == ["pool"]
    assert [row["value"] for row in answers["locale"].json()["rows"]] == ["unknown"]  # no such text is in the table
    for dimension in ("locale", "industry", "platform"):
        assert "by chance alone" in answers[dimension].json()["warning"]


async def test_a_breakdown_by_what_the_treatment_changes_carries_no_significance(ad_system):
    phase = (await ad_system.experiment())["phase"]
    await fill(ad_system, phase, units=(90, 90), converted=(10, 80))
    rows = {
        dimension: (
            await ad_system.client.get(
                f"/experiments/title-test/breakdowns/{dimension}", headers=ad_system.keys["report"]
            )
        ).json()["rows"][0]
        for dimension in ("source", "locale")
    }
    assert rows["source"]["lift"]["value"] == rows["locale"]["lift"]["value"] == pytest.approx(7.0)
    assert (rows["locale"]["marked"], rows["source"]["marked"], rows["source"]["adjusted_p"]) == (True, False, None)
    assert [rows["source"]["lift"][name] for name in ("p_value", "z", "low", "high")] == [None] * 4


async def test_requests_fallbacks_and_latency_are_guardrails(ad_system, generate):
    await ad_system.experiment()
    for i in range(12):
        await generate(unit_id=f"単位-{i}")
    await ad_system.container.serving_log.flush()
    found = await ad_system.read(as_of=MATURE)
    blocks = found["guardrails"]
    assert sum(block["requests"] for block in blocks) == 12
    assert all(block["served_violations"] == 0 for block in blocks)
    assert all(0 < block["p95_latency_ms"] < 60_000 for block in blocks if block["requests"])
    assert sum(arm["assigned_units"] for arm in found["arms"]) == 12


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"as_of": "2026-11-22T10:00:00"}, "as_of"),
        ({"as_of": (LATER + timedelta(seconds=1)).isoformat()}, "as_of"),
        ({"tz": "Mars/Olympus"}, "tz"),
        ({"view": "some"}, "view"),
        ({"phase": 0}, "phase"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused_by_field(ad_system, query, field):
    await ad_system.experiment()
    answer = await ad_system.client.get(
        "/experiments/title-test/report", params=query, headers=ad_system.keys["report"]
    )
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_an_as_of_in_the_future_is_refused_by_field_value_and_rule(ad_system):
    await ad_system.experiment()
    ahead = (LATER + DAY).isoformat()
    for path in ("report", "report.csv", "breakdowns/source"):
        answer = await ad_system.client.get(
            f"/experiments/title-test/{path}", params={"as_of": ahead}, headers=ad_system.keys["report"]
        )
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert (error["field"], error["value"], error["rule"]) == ("as_of", ahead, "future_as_of")
        assert "is in the future" in error["detail"]


async def test_drafts_stopped_and_unknown_experiments_answer_in_words(ad_system):
    await ad_system.experiment(start=False)
    assert (await ad_system.read())["headline"].startswith("Nothing to compare yet")
    await ad_system.client.post("/experiments/title-test/start", headers=ad_system.keys["ops"])
    await ad_system.client.post("/experiments/title-test/stop", headers=ad_system.keys["ops"])
    assert (await ad_system.read())["state"] == "stopped"
    unknown = await ad_system.client.get("/experiments/nobody/report", headers=ad_system.keys["report"])
    assert (unknown.status_code, unknown.json()["rule"]) == (404, "unknown_experiment")


async def test_csv_parquet_and_notebook_hold_the_same_rows(ad_system, monkeypatch):
    phase = (await ad_system.experiment())["phase"]
    await fill(ad_system, phase, units=(90, 90), converted=(40, 60))
    path, keys = "/experiments/title-test/report", ad_system.keys["report"]
    document = Report.model_validate(await ad_system.read(as_of=MATURE))
    text = (await ad_system.client.get(f"{path}.csv", params={"as_of": MATURE}, headers=keys)).text
    table = pq.read_table(
        io.BytesIO((await ad_system.client.get(f"{path}.parquet", params={"as_of": MATURE}, headers=keys)).content)
    )
    assert [float(row["lift_value"]) for row in csv.DictReader(io.StringIO(text))] == table["lift_value"].to_pylist()
    assert table["lift_value"].to_pylist() == document.table()["lift_value"].to_list()
    assert "+50 %" in document._repr_html_()
    assert [trace.name for trace in document.plot().data[:2]] == ["treatment-1, always valid", "treatment-1, fixed"]


async def test_the_notebook_client_says_what_the_service_says(ad_system, monkeypatch):
    await ad_system.experiment()
    key = ad_system.keys["report"]["Authorization"].removeprefix("Bearer ")

    answers = {
        name: await ad_system.client.get(f"/experiments/{name}/report", headers=ad_system.keys["report"])
        for name in ("title-test", "no")
    }
    monkeypatch.setattr("httpx.get", lambda url, **_: answers[url.split("/")[-2]])
    assert report("http://relate.test/", "title-test", key=key).arms[0].arm == "control"
    with pytest.raises(ValueError, match="there is no experiment 'no'"):
        report("http://relate.test", "no", key=key)


async def test_what_is_reported_and_not_counted_is_shown_with_its_share(ad_system):
    phase = (await ad_system.experiment())["phase"]
    await fill(ad_system, phase, units=(40, 40), converted=(12, 20), days=1)
    clean = await ad_system.read()
    order = {"order_id": "订单-1"}

    def served(name: str, arm: int = 0, at: datetime = SHOWN) -> str:
        return ad_system.serve(name, phase=phase, arm=arm, at=at)

    orphan, view_through, early = (
        served("orphan", 1),
        served("view-through"),
        served("shifted", at=SHOWN - 9 * HOUR),
    )
    await ad_system.report(
        *(an_event(served(f"orphan-{number}", 1), "click", SHOWN) for number in range(9)),
        an_event(orphan, "conversion", SHOWN),
        an_event(view_through, at=SHOWN),
        an_event(view_through, "conversion", SHOWN + HOUR, **order),
        an_event(early, at=SHOWN + timedelta(seconds=2)),
        an_event(early, "click", SHOWN + timedelta(minutes=1)),
        an_event(served("retraction"), "retraction", SHOWN, corrects="never-came"),
    )
    found = await ad_system.read()
    control, treatment = (arm["set_aside"] for arm in found["arms"])
    assert (treatment["orphans"], control["view_through"], control["shifted"]) == (10, 1, 1)
    assert control["unmatched_corrections"] == 1
    assert treatment["orphan_share"] == treatment["orphans"] / treatment["tokens"]
    assert [arm["clicks"] for arm in found["arms"]] == [arm["clicks"] for arm in clean["arms"]]
    assert [arm["conversions"] for arm in found["arms"]] == [arm["conversions"] for arm in clean["arms"]]
    said = [banner["sentence"] for banner in found["banners"] if banner["kind"] == "set_aside"]
    assert len(said) == 1 and "no impression" in said[0]  # of 92 tokens; the others are under 5 %
