"""Experiments: drafted, started, ramped, reweighed, stopped; one layer's never share a unit."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtest.assignment import BUCKETS
from app.services.experiments.buckets import buckets_of, first_free, hundredths, overlapping, percent_of, widen

ranges = st.lists(st.integers(0, BUCKETS), unique=True, max_size=8).map(
    lambda edges: list(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)  # disjoint


@pytest.mark.parametrize(("percent", "buckets"), [(0.01, 1), (0.07, 7), (0.29, 29), (33.335, 3334), (100.0, 10_000)])
def test_a_percentage_is_a_whole_number_of_buckets(percent, buckets):
    assert buckets_of(percent) == buckets
    assert percent_of(buckets) == round(percent, 2)


@given(taken=ranges, width=st.integers(1, BUCKETS))
def test_a_placed_range_is_free_and_a_missing_one_has_no_gap(taken, width):
    found = first_free(width, taken)
    edges = [0, *(edge for held in taken for edge in held), BUCKETS]
    widest = max(high - low for low, high in zip(edges[::2], edges[1::2], strict=True))
    assert (found is None) == (widest < width)
    if found:
        assert found[1] - found[0] == width
        assert not overlapping(found, taken)


@given(taken=ranges.filter(bool), width=st.integers(1, BUCKETS), data=st.data())
def test_widening_moves_nobody_and_disturbs_nobody(taken, width, data):
    held = data.draw(st.sampled_from(taken))
    others = [interval for interval in taken if interval != held]
    wider = widen(held, max(width, held[1] - held[0]), others)
    if wider:
        assert wider[0] <= held[0] <= held[1] <= wider[1]
        assert wider[1] - wider[0] == max(width, held[1] - held[0])
        assert not overlapping(wider, others)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=8).filter(lambda weights: sum(weights) > 1e-3))
def test_weights_of_any_scale_become_ten_thousandths(weights):
    scaled = hundredths(weights)
    assert sum(scaled) == BUCKETS
    assert all(abs(share - weight / sum(weights) * BUCKETS) <= 1 for share, weight in zip(scaled, weights, strict=True))


@pytest.mark.parametrize(
    ("weights", "status", "kept"),
    [([99.999, 0.001], 422, None), ([0.004, 99.996], 422, None), ([99.99, 0.01], 200, [9999, 1]), ([1, 0], 200, None)],
)
async def test_a_positive_weight_never_becomes_no_share_at_all(ad_system, weights, status, kept):
    await ad_system.experiment()
    answer = await ad_system.client.post(
        "/experiments/title-test/weights", json={"weights": weights}, headers=ad_system.keys["ops"]
    )
    assert answer.status_code == status
    if status == 422:
        (error,) = answer.json()["errors"]
        assert (error["field"], error["value"], error["rule"]) == ("weights", str(min(weights)), "weight_too_small")
    elif kept:
        assert [arm["weight"] for arm in answer.json()["phases"][-1]["arms"]] == kept


async def test_a_life_from_draft_to_stopped_is_in_the_audit_log(ad_system):
    made = await ad_system.experiment("title-relate", start=False, coverage_percent=20)
    assert (made["state"], made["low"], made["high"]) == ("draft", 0, 2000)
    path, ops = f"/experiments/{made['name']}", ad_system.keys["ops"]
    started = (await ad_system.client.post(f"{path}/start", headers=ops)).json()
    ramped = (await ad_system.client.post(f"{path}/ramp", json={"coverage_percent": 50}, headers=ops)).json()
    reweighed = (await ad_system.client.post(f"{path}/weights", json={"weights": [1, 3]}, headers=ops)).json()
    stopped = (await ad_system.client.post(f"{path}/stop", headers=ops)).json()
    assert (started["state"], ramped["high"], stopped["state"]) == ("running", 5000, "stopped")
    assert [arm["weight"] for arm in reweighed["phases"][1]["arms"]] == [2500, 7500]
    assert reweighed["phases"][0]["salt"] != reweighed["phases"][1]["salt"]
    assert reweighed["phases"][0]["ended_at"] == reweighed["phases"][1]["started_at"]
    detail = (await ad_system.client.get(path, headers=ad_system.keys["report"])).json()
    assert [entry["action"].removeprefix("experiment.") for entry in detail["audit"]] == [
        "stop",
        "weights",
        "ramp",
        "start",
        "create",
    ]
    assert all(entry["actor"].startswith("ops (rk_") for entry in detail["audit"])


async def test_what_breaks_a_rule_is_refused_by_name(ad_system):
    await ad_system.experiment("first", coverage_percent=60)
    arm = {"name": "a", "policy": "champion"}
    two = [arm, {"name": "b", "policy": "champion"}]
    cases = [  # path, body, status, rule or field
        ("/experiments", {"name": "first", "arms": two, "layer": "other"}, 409, "name_taken"),
        ("/experiments", {"name": "x", "arms": [arm, {"name": "b", "policy": "gpt-99"}]}, 422, "unknown_policy"),
        ("/experiments", {"name": "x", "arms": [arm, arm], "layer": "other"}, 422, "invalid_plan"),
        ("/experiments", {"name": "x", "arms": two, "layer": "other", "salt": "other"}, 422, "invalid_plan"),
        ("/experiments", {"name": "x", "arms": [arm]}, 422, "invalid_request"),
        ("/experiments", {"name": "x", "arms": two, "high": 5}, 422, "invalid_request"),
        (
            "/experiments",
            {"name": "x", "arms": [{**side, "weight": 0} for side in two], "layer": "other"},
            422,
            "weights",
        ),
        ("/experiments", {"name": "x", "arms": two, "coverage_percent": 50}, 409, "layer_full"),
        ("/experiments", {"name": "Groß", "arms": two}, 422, "invalid_request"),
        ("/experiments/first/start", None, 409, "wrong_state"),
        ("/experiments/nobody/start", None, 404, "unknown_experiment"),
        ("/experiments/first/ramp", {"coverage_percent": 60}, 422, "ramp_only_widens"),
        ("/experiments/first/weights", {"weights": [1, 1, 1]}, 422, "weights"),
    ]
    answers = [
        await ad_system.client.post(path, json=body, headers=ad_system.keys["ops"]) for path, body, _, _ in cases
    ]
    assert [(answer.status_code, answer.json()["rule"]) for answer in answers] == [
        (status, rule) for _, _, status, rule in cases
    ]


async def test_a_layers_running_experiments_hold_disjoint_buckets(ad_system):
    await ad_system.experiment("first", coverage_percent=40)
    second = await ad_system.experiment("second", coverage_percent=40)
    assert (second["low"], second["high"]) == (4000, 8000)
    await ad_system.experiment("third", start=False, low=3000, high=4500)
    clash = await ad_system.client.post("/experiments/third/start", headers=ad_system.keys["ops"])
    assert (clash.status_code, clash.json()["rule"]) == (409, "layer_overlap")
    assert "first [0, 4000), second [4000, 8000)" in clash.json()["detail"]
    full = await ad_system.client.post(
        "/experiments/first/ramp", json={"coverage_percent": 41}, headers=ad_system.keys["ops"]
    )
    assert (full.status_code, "second [4000, 8000)" in full.json()["detail"]) == (409, True)
    elsewhere = await ad_system.experiment("fourth", layer="images", coverage_percent=100)
    assert elsewhere["state"] == "running"


async def test_two_starts_at_once_cannot_share_buckets(ad_system):
    for name in ("left", "right"):
        await ad_system.experiment(name, start=False, low=0, high=5000)
    answers = await asyncio.gather(
        *(
            ad_system.client.post(f"/experiments/{name}/start", headers=ad_system.keys["ops"])
            for name in ("left", "right")
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_the_list_is_paged(ad_system):
    for i in range(3):
        await ad_system.experiment(f"e{i}", start=False, coverage_percent=10)
    first = (await ad_system.client.get("/experiments", params={"limit": 2}, headers=ad_system.keys["report"])).json()
    second = (
        await ad_system.client.get("/experiments", params={"after": first["next"]}, headers=ad_system.keys["report"])
    ).json()
    assert [experiment["name"] for page in (first, second) for experiment in page["experiments"]] == ["e0", "e1", "e2"]
    assert second["next"] is None


async def test_analysts_read_and_only_ops_change(ad_system):
    await ad_system.experiment("first", start=False)
    refused = await ad_system.client.post("/experiments/first/start", headers=ad_system.keys["report"])
    assert refused.status_code == 403
    assert (await ad_system.client.get("/experiments/first", headers=ad_system.keys["report"])).status_code == 200
