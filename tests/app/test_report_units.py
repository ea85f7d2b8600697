"""What a report says of single units and of days: units in two arms, heavy units, changed arms, days of its zone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from counting import DAY, a_funnel, an_event, digest
from reported import LATER, NOW, SHOWN, fill

from app.services.reports import reading


@pytest.fixture(autouse=True)
def four_days_later(monkeypatch):
    """Reports are read after the impressions have matured."""
    monkeypatch.setattr(reading, "now", lambda: LATER)


async def test_units_in_two_arms_are_left_out_counted_and_shown(ad_system):
    phase = (await ad_system.experiment())["phase"]
    await fill(ad_system, phase, units=(40, 40), converted=(12, 20), days=2)
    clean = await ad_system.read()
    both = [
        event
        for number in range(5)
        for arm in (0, 1)
        for event in a_funnel(
            ad_system.serve(f"both-{number}", phase=phase, arm=arm, at=SHOWN - number % 2 * DAY),
            SHOWN - number % 2 * DAY,
            converted=arm == 1,
        )
    ]
    await ad_system.report(*both)
    for as_of in (None, (SHOWN + 2 * DAY).isoformat()):  # the second's cutoff lies inside a day
        query = {"as_of": as_of} if as_of else {}
        found = await ad_system.read(**query)
        assert found["method"]["sums"] == clean["method"]["sums"]
        assert found["daily"] == clean["daily"] and found["cohorts"] == clean["cohorts"]
        assert [arm["units_in_two_arms"] for arm in found["arms"]] == [5, 5]
        assert [arm["invalid_impressions"] for arm in found["arms"]] == [0, 0]
        assert "two_arms" in {banner["kind"] for banner in found["banners"]}
    tokyo = await ad_system.read(tz="Asia/Tokyo")
    assert tokyo["daily"][-1]["value"] == clean["daily"][-1]["value"]
    broken_down = await ad_system.client.get(
        "/experiments/title-test/breakdowns/source", headers=ad_system.keys["report"]
    )
    assert broken_down.json()["rows"][0]["control"]["denominator"] == 40


async def test_a_unit_that_brings_much_of_an_arm_is_named_by_its_digest(ad_system):
    phase = (await ad_system.experiment())["phase"]
    await fill(ad_system, phase, units=(60, 60), converted=(12, 20))
    shared = [
        an_event(ad_system.serve("shared-id", phase=phase, arm=1, at=SHOWN), at=SHOWN + timedelta(seconds=n))
        for n in range(368)
    ]
    await ad_system.report(*shared)
    found = await ad_system.read()
    heavy = found["arms"][1]["heavy_units"]
    assert [(unit["unit"], unit["impressions"]) for unit in heavy] == [(digest("shared-id").hex(), 368)]
    assert heavy[0]["share"] == pytest.approx(368 / 428)
    (banner,) = [banner for banner in found["banners"] if banner["kind"] == "heavy_unit"]
    assert f"treatment-1's impressions: {digest('shared-id').hex()} (86%)" in banner["sentence"]
    assert found["arms"][0]["heavy_units"] == []


async def test_units_whose_arm_changed_at_a_reweigh_are_counted(ad_system, generate):
    await ad_system.experiment()
    for number in range(30):
        await generate(unit_id=f"单元-{number}")
    await ad_system.client.post(
        "/experiments/title-test/weights", json={"weights": [0, 1]}, headers=ad_system.keys["ops"]
    )
    for number in range(30):
        await generate(unit_id=f"单元-{number}")
    await ad_system.container.serving_log.flush()
    first, second = await ad_system.read(phase=1), await ad_system.read()
    assert [arm["units_that_changed_arm"] for arm in first["arms"]] == [0, 0]
    changed = [arm["units_that_changed_arm"] for arm in second["arms"]]
    assert changed == [0, first["arms"][0]["assigned_units"]]
    assert "changed_arm" in {banner["kind"] for banner in second["banners"]}


@pytest.mark.parametrize(("tz", "days"), [("UTC", [-1, 0]), ("Asia/Tokyo", [0, 0]), ("Pacific/Honolulu", [-1, -1])])
async def test_days_are_those_of_the_reports_zone(ad_system, tz, days):
    """Two impressions half an hour before and after a UTC midnight fall on one day in Tokyo, and on the one before in
    Honolulu.
    """
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    phase = (await ad_system.experiment())["phase"]
    events = []
    for minutes in (-30, 30):
        for arm in (0, 1):
            at = midnight + timedelta(minutes=minutes)
            token = ad_system.serve(f"u-{minutes}-{arm}", phase=phase, arm=arm, at=at)
            events += a_funnel(token, at, converted=arm == 1)
    await ad_system.report(*events)
    found = await ad_system.read(tz=tz)
    expected = sorted({(midnight + day * DAY).date().isoformat() for day in days})
    assert [point["day"] for point in found["daily"]] == expected
    assert [point["first_day"] for point in found["cohorts"]] == expected
    assert (found["daily"][-1]["units"], sum(point["units"] for point in found["cohorts"])) == (4, 4)
    assert found["method"]["sums"] == (await ad_system.read())["method"]["sums"]
