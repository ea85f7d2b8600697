"""Pages as their visitors get them, without a browser: figures in words, refusals in words, and nothing taken on
trust.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from page_visits import LIST, NEW, PLANNER, csrf_of, read
from psycopg.types.json import Jsonb
from trials import ArmOf, draft, run, start, stop

HOSTILE = '"><script>alert(1)</script>'


async def refreshed(app: FastAPI) -> None:
    await app.state.container.state.refresh()


# ---- the report


async def test_a_report_says_what_was_found(analyst: httpx.AsyncClient, database: Any) -> None:
    run(database, "标题-v3", [ArmOf("nlg"), ArmOf("relate", ctr=0.2, cvr=0.5)], days=8, units_a_day=400)
    page = await read(analyst, f"{LIST}/标题-v3?by=locale")
    assert "relate is better: CTCVR +" in page
    assert "The always-valid interval decides until the 40,000 planned units are mature" in page
    for block in ("Metrics", "Guardrails", "Funnel", "Breakdown", "How this was computed", "Export CSV"):
        assert block in page
    assert {"en-GB", "zh-CN", "ja-JP"} <= set(page.split())
    assert "would be significant by chance alone" in page


async def test_the_notebook_snippet_names_the_public_address_never_the_host_header(
    analyst: httpx.AsyncClient, app: FastAPI, database: Any
) -> None:
    run(database, "スニペット", [ArmOf("nlg"), ArmOf("relate")], days=2, units_a_day=50)
    shown = (await analyst.get(f"{LIST}/スニペット", headers={"Host": "evil.example"})).text
    assert "evil.example" not in shown
    assert '"http://relate.test"' in shown.replace("&#34;", '"')


async def test_exports_carry_the_choices_of_the_page(analyst: httpx.AsyncClient, database: Any) -> None:
    run(database, "descs", [ArmOf("nlg"), ArmOf("relate")], days=8, units_a_day=200)
    page = (await analyst.get(f"{LIST}/descs?as_of=2026-11-22T08:00&tz=Asia/Tokyo&view=all")).text
    found = re.search(r'href="(/experiments/descs/report\.csv[^"]*)"', page)
    assert found
    assert "as_of=2026-11-22T08%3A00%3A00%2B09%3A00" in found[1]
    exported = await analyst.get(found[1].replace("&amp;", "&"))
    assert exported.status_code == 200
    assert ",all,2026-11-22 08:00:00+09:00," in exported.text


@pytest.mark.parametrize(
    ("arms", "days", "said"),
    [
        ([ArmOf("control", cvr=0), ArmOf("treatment")], 8, "control has too few conversions"),
        (
            [ArmOf("control", ctr=0, cvr=0), ArmOf("treatment", ctr=0, cvr=0)],
            8,
            "neither arm has a conversion yet",
        ),
        ([ArmOf("control"), ArmOf("treatment", share=0)], 8, "do not fall into the arms as configured"),
        ([ArmOf("control"), ArmOf("treatment")], 2, "No impressions are mature yet"),
        ([ArmOf("对照"), ArmOf("新文案", share=0.5)], 8, "do not fall into the arms as configured"),
    ],
    ids=["zero conversions in control", "zero conversions", "one arm", "no mature data", "lost units"],
)
async def test_thin_data_is_put_into_words(
    analyst: httpx.AsyncClient, database: Any, arms: list[ArmOf], days: int, said: str
) -> None:
    run(database, "thin", arms, days=days, units_a_day=60)
    page = await read(analyst, f"{LIST}/thin?by=source")
    assert said in page
    assert "is better" not in page and "no effect" not in page
    assert "thin" in await read(analyst, LIST)


async def test_a_stopped_experiment_keeps_its_report(operator: httpx.AsyncClient, database: Any) -> None:
    run(database, "over", [ArmOf("nlg"), ArmOf("base")], days=9, units_a_day=150)
    stop(database, "over", datetime.now(UTC) - timedelta(days=1))
    page = await read(operator, f"{LIST}/over")
    assert "over stopped" in page and "ending early never switches to the fixed interval" in page
    assert "Ramp up" not in page and "Stop over" not in page


async def test_each_of_several_treatments_has_its_verdict(analyst: httpx.AsyncClient, database: Any) -> None:
    run(database, "three", [ArmOf("base"), ArmOf("relate"), ArmOf("dpo")], days=8, units_a_day=300)
    answer = await analyst.get(f"{LIST}/three")
    assert re.findall(r'aria-label="Verdict on (\w+)"', answer.text) == ["relate", "dpo"]
    assert "Holm" in answer.text


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (f"{LIST}/nobody", 404, "There is no experiment 'nobody'"),
        (f"{LIST}/草稿?phase=2", 404, "has phases 1 to 1 and 2 was asked"),
        (f"{LIST}/草稿?phase=two", 422, "valid integer"),
        (f"{LIST}/草稿?tz=Mars/Olympus", 422, "not a time zone"),
        (f"{LIST}/草稿?as_of=yesterday", 422, "not a time"),
        (f"{LIST}/草稿?as_of=9999-12-31T23:59", 422, "outside"),
        (f"{LIST}/草稿?view=some", 422, "'valid' or 'all'"),
        (f"{LIST}/草稿?by=mood", 422, "'locale', 'industry', 'platform' or 'source'"),
        (f"{LIST}/{HOSTILE.replace('/', '')}", 404, "There is no experiment"),
    ],
)
async def test_what_cannot_be_shown_is_refused_in_words(
    analyst: httpx.AsyncClient, database: Any, path: str, status: int, said: str
) -> None:
    draft(database, "草稿", [ArmOf("control"), ArmOf("treatment")])
    page = (await read(analyst, path, status)).replace("&#39;", "'")
    assert said in page


async def test_names_are_text_and_never_markup(operator: httpx.AsyncClient, database: Any, app: FastAPI) -> None:
    """Slugs keep markup out at the door; a page does not count on that."""
    phase = draft(database, "hostile", [ArmOf(HOSTILE), ArmOf("treatment")])
    start(database, "hostile", datetime.now(UTC))
    database.execute("UPDATE experiments SET layer = %s", (HOSTILE,))
    database.execute("UPDATE phases SET salt = %s WHERE id = %s", ("</script>" + HOSTILE, phase))
    database.execute(
        "INSERT INTO audit_log (actor, action, subject, detail) VALUES (%s, %s, 'experiment:hostile', %s)",
        (HOSTILE, HOSTILE, Jsonb({"x": HOSTILE})),
    )
    await refreshed(app)
    for path in (LIST, f"{LIST}/hostile", f"{PLANNER}?baseline_percent={HOSTILE}", f"{NEW}?layer={HOSTILE}"):
        answer = await operator.get(path)
        assert "<script>alert" not in answer.text
        assert "alert(1)" in answer.text


# ---- who may


@pytest.mark.parametrize("path", [LIST, f"{LIST}/any?by=locale", PLANNER, NEW])
async def test_a_visitor_signs_in_first_and_comes_back(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 303
    assert (
        answer.headers["location"] == f"/signin?next={path.replace('/', '%2F').replace('?', '%3F').replace('=', '%3D')}"
    )


async def test_the_api_still_answers_401(client: httpx.AsyncClient) -> None:
    assert (await client.get("/experiments")).status_code == 401


async def test_an_analyst_may_read_and_not_change(analyst: httpx.AsyncClient, database: Any) -> None:
    draft(database, "a-draft", [ArmOf("control"), ArmOf("treatment")])
    answer = await analyst.get(f"{LIST}/a-draft")
    assert "Start a-draft" not in answer.text and "New experiment" not in (await analyst.get(LIST)).text
    assert "needs ops" in await read(analyst, NEW, 403)
    refused = await analyst.post(f"{LIST}/a-draft/start", data={"csrf": csrf_of(answer)})
    assert refused.status_code == 403


@pytest.mark.parametrize("action", ["start", "ramp", "weights", "stop"])
async def test_a_change_needs_the_forms_own_token(operator: httpx.AsyncClient, database: Any, action: str) -> None:
    draft(database, "a-draft", [ArmOf("control"), ArmOf("treatment")])
    for data in ({}, {"csrf": "0" * 64}):
        answer = await operator.post(f"{LIST}/a-draft/{action}", data=data)
        assert answer.status_code == 403 and "CSRF" in answer.text
    assert database.execute("SELECT state FROM experiments").fetchone() == ("draft",)


# ---- changing


A_FORM: dict[str, Any] = {
    "name": "new-titles",
    "layer": "search",
    "coverage_percent": "20",
    "window_days": "3",
    "planned_units": "50000",
    "arm_name": ["control", "treatment", "", ""],
    "arm_policy": ["champion"] * 4,
    "arm_weight": ["50", "50", "", ""],
}


async def test_an_experiment_is_drafted_started_ramped_reweighed_and_stopped(operator: httpx.AsyncClient) -> None:
    csrf = {"csrf": csrf_of(await operator.get(NEW))}
    made = await operator.post(NEW, data=A_FORM | csrf)
    assert (made.status_code, made.headers["location"]) == (303, f"{LIST}/new-titles")
    assert "This is a draft" in await read(operator, f"{LIST}/new-titles")
    for action, data in (
        ("start", {}),
        ("ramp", {"coverage_percent": "60"}),
        ("weights", {"weights": ["80", "20"]}),
        ("stop", {"sure": "yes"}),
    ):
        answer = await operator.post(f"{LIST}/new-titles/{action}", data=data | csrf)
        assert answer.status_code == 303, answer.text
    page = await read(operator, f"{LIST}/new-titles")
    assert "new-titles stopped" in page and "phase 2 of 2" in page and "60 % of layer search" in page
    assert "phase 1 : nothing to compare" in await read(operator, LIST)
    for change in ("experiment.create", "experiment.start", "experiment.ramp", "experiment.weights", "experiment.stop"):
        assert change in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "Größe"}, "name"),
        ({"coverage_percent": "0"}, "coverage_percent"),
        ({"coverage_percent": "兩成"}, "coverage_percent"),
        ({"window_days": "a week"}, "window_hours"),
        ({"planned_units": "1"}, "planned_units"),
        ({"arm_name": ["control", "", "", ""]}, "arms"),
        ({"arm_name": ["same", "same", "", ""]}, "name each arm once"),
        ({"arm_policy": ["champion", "gpt-9", "", ""]}, "there is no policy"),
        ({"arm_weight": ["0", "0", "", ""]}, "all weights are 0"),
    ],
)
async def test_a_form_comes_back_with_what_is_wrong_and_what_was_written(
    operator: httpx.AsyncClient, database: Any, change: dict[str, Any], said: str
) -> None:
    csrf = {"csrf": csrf_of(await operator.get(NEW))}
    answer = await operator.post(NEW, data=A_FORM | change | csrf)
    assert answer.status_code == 422
    assert re.search(r'role="alert"', answer.text) and said in answer.text
    assert 'value="search"' in answer.text
    assert database.execute("SELECT count(*) FROM experiments").fetchone() == (0,)


@pytest.mark.parametrize(
    ("action", "data", "status", "said"),
    [
        ("stop", {"sure": "yes"}, 409, "Idle is draft: stop needs an experiment that is running"),
        ("ramp", {"coverage_percent": "all"}, 422, "Coverage_percent"),
        ("ramp", {}, 422, "coverage_percent"),
        ("weights", {"weights": ["-1", "2"]}, 422, "greater than or equal to 0"),
        ("stop", {}, 422, "cannot be undone"),
    ],
)
async def test_a_change_that_cannot_be_made_is_refused_in_words(
    operator: httpx.AsyncClient, database: Any, action: str, data: dict[str, Any], status: int, said: str
) -> None:
    draft(database, "idle", [ArmOf("control"), ArmOf("treatment")])
    csrf = {"csrf": csrf_of(await operator.get(NEW))}
    answer = await operator.post(f"{LIST}/idle/{action}", data=data | csrf)
    assert answer.status_code == status
    assert said in answer.text


# ---- what pages are made of


async def test_plotly_comes_from_this_server_and_is_kept_for_good(
    client: httpx.AsyncClient, analyst: httpx.AsyncClient
) -> None:
    page = (await analyst.get(PLANNER)).text
    scripts = re.findall(r'<script src="([^"]+)"', page)
    assert scripts and all(script.startswith("/") for script in scripts)
    asset = next(script for script in scripts if "plotly" in script)
    answer = await client.get(asset, headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.text == (await client.get(asset, headers={"accept-encoding": "identity"})).text


async def test_pages_allow_no_script_but_this_servers(
    analyst: httpx.AsyncClient, database: psycopg.Connection[Any]
) -> None:
    run(database, "strict", [ArmOf("nlg"), ArmOf("relate")], days=8, units_a_day=200)
    answer = await analyst.get(f"{LIST}/strict")
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    inline = re.findall(r"<script(?![^>]*(?:src=|application/json))", answer.text)
    assert inline == [] and not re.search(r"\son\w+=", answer.text)
