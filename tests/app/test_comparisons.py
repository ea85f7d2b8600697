"""Blind comparisons: what is drawn, what an annotator sees and says, whose reading counts, and what comes of it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from typing import Any

import httpx
import psycopg
import pytest
from comparable import add_comparable
from page_visits import Visitors, csrf_of, read
from service import policy

Database = psycopg.Connection[Any]
PAGE = "/pages/comparisons"


@pytest.fixture
def versions(database: Database) -> dict[str, str]:
    return {"policy": policy(database, "vllm"), "baseline": policy(database, "nlg")}


async def create(client: httpx.AsyncClient, keys: Any, **body: Any) -> int:
    answer = await client.post("/comparisons", json=body, headers=keys["ops"])
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


class Annotator:
    """Someone who reads pairs on the page, and knows the texts of the model by their words."""

    def __init__(self, http: httpx.AsyncClient, comparison: int, database: Database) -> None:
        self._http, self._here, self._database = http, f"{PAGE}/{comparison}", database

    async def pair(self) -> tuple[str, list[str]] | None:
        """The id of the open pair, and its texts from left to right."""
        page = (await self._http.get(self._here)).text
        found = re.search(r"/pairs/([0-9a-f-]{36})", page)
        sides = re.findall(r'<section class="card".*?</section>', page, re.S)
        return (found[1], ["".join(re.findall(r"<p[^>]*>(.*?)</p>", side)) for side in sides]) if found else None

    async def say(self, pair: str, choice: str) -> httpx.Response:
        csrf = csrf_of(await self._http.get(PAGE))
        return await self._http.post(f"{self._here}/pairs/{pair}", data={"csrf": csrf, "choice": choice})

    async def undo(self) -> httpx.Response:
        return await self._http.post(f"{self._here}/undo", data={"csrf": csrf_of(await self._http.get(PAGE))})

    async def read_all(self, *, careful: bool = True) -> Counter[str]:
        """Prefer the sound side of planted pairs and the model's text of others; careless: always the left side."""
        sides = Counter[str]()
        while (opened := await self.pair()) is not None:
            pair, texts = opened
            row = self._database.execute(
                "SELECT first, expected FROM comparison_pairs WHERE id = %s", (pair,)
            ).fetchone()
            assert row is not None
            first, expected = row
            right = "left" if first["description"] in texts[0].replace("&#39;", "'") else "right"
            choice = "left" if not careful else "same" if expected == "same" else right
            sides[right] += expected is None
            assert (await self.say(pair, choice)).status_code == 303
        return sides


async def test_one_pair_per_brief_is_drawn_of_what_both_policies_serve(
    client: httpx.AsyncClient, keys: Any, database: Database, versions: Any, app: Any
) -> None:
    first, *_ = add_comparable(database, 12)
    database.execute("UPDATE texts SET state = 'rejected' WHERE brief_digest = 'comparable-1' AND origin = 'model'")
    withdrawal = {"kind": "text", "subject": first, "reason": "a complaint"}
    assert (await client.post("/withdrawals", json=withdrawal, headers=keys["ops"])).status_code == 201
    await app.state.container.state.refresh()
    comparison = await create(client, keys, **versions, planted=3)
    rows = database.execute("SELECT brief_digest, first, second, expected FROM comparison_pairs").fetchall()
    drawn = [row for row in rows if row[3] is None]
    assert sorted(bytes(row[0]) for row in drawn) == sorted(f"comparable-{n}".encode() for n in range(2, 12))
    assert all("model" in row[1]["description"] and "template" in row[2]["description"] for row in drawn)
    assert Counter(row[3] for row in rows) == {None: 10, "first": 3, "same": 3}
    assert all((row[1] == row[2]) == (row[3] == "same") for row in rows)
    answer = (await client.get(f"/comparisons/{comparison}", headers=keys["report"])).json()
    assert (answer["pairs"], answer["judged"], answer["gsb"]) == (10, 0, None)


async def test_annotators_see_no_policy_and_their_sides_differ(
    client: httpx.AsyncClient, keys: Any, database: Database, versions: Any, visitor: Visitors
) -> None:
    add_comparable(database, 30)
    comparison = await create(client, keys, **versions, planted=0)
    one, other = [Annotator(await visitor("review"), comparison, database) for _ in range(2)]
    http = await visitor("review")
    page = (await http.get(f"{PAGE}/{comparison}")).text + (await http.get(PAGE)).text
    assert not any(version in page for version in versions.values())
    assert (await http.get(f"{PAGE}/{comparison}/results")).status_code == 403
    assert (await http.get(f"/comparisons/{comparison}/verdicts")).status_code == 403
    ours, theirs = await one.read_all(), await other.read_all()
    assert ours.total() == theirs.total() == 30 and min(ours.values()) > 3 and min(theirs.values()) > 3
    sides = database.execute("SELECT count(*) FROM comparison_verdicts WHERE verdict = 'first'").fetchone()
    assert sides == (60,)  # whatever side it was on


async def test_only_readings_that_know_the_planted_pairs_count(
    client: httpx.AsyncClient, keys: Any, database: Database, versions: Any, visitor: Visitors
) -> None:
    add_comparable(database, 12)
    comparison = await create(client, keys, **versions, pairs=6, planted=6)
    for careful in (True, True, False):
        await Annotator(await visitor("review"), comparison, database).read_all(careful=careful)
    unfinished = Annotator(await visitor("review"), comparison, database)
    opened = await unfinished.pair()
    assert opened is not None
    await unfinished.say(opened[0], "same")
    found = (await client.get(f"/comparisons/{comparison}", headers=keys["report"])).json()
    assert [row["state"] for row in found["readings"]] == ["counts", "counts", "unreliable", "unfinished"]
    assert [(row["caught"], row["passed"]) for row in found["readings"][:2]] == [(6, 6), (6, 6)]
    assert (found["good"], found["same"], found["bad"], found["gsb"]) == (6, 0, 0, 1.0)
    assert found["p_value"] == pytest.approx(2 / 2**6) and found["kappa_name"] == "Cohen"
    analyst = await visitor("report")
    page = await read(analyst, f"{PAGE}/{comparison}/results")
    assert versions["policy"] in page and "unreliable" in page and "6 of 6" in page
    answer = await analyst.get(f"/comparisons/{comparison}/verdicts.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 3 * 18 + 1
    assert {row["verdict"] for row in rows if row["reading"] == "counts" and not row["planted"]} == {"good"}
    verdicts = (await analyst.get(f"/comparisons/{comparison}/verdicts")).json()["verdicts"]
    assert [row["pair"] for row in verdicts] == [row["pair"] for row in rows]


async def test_a_verdict_is_taken_back_and_its_pair_comes_again(
    client: httpx.AsyncClient, keys: Any, database: Database, versions: Any, visitor: Visitors
) -> None:
    add_comparable(database, 3)
    comparison = await create(client, keys, **versions, planted=0)
    annotator = Annotator(await visitor("review"), comparison, database)
    assert (await annotator.undo()).status_code == 409
    first = await annotator.pair()
    assert first is not None
    await annotator.say(first[0], "left")
    second = await annotator.pair()
    assert second is not None and second[0] != first[0]
    assert (await annotator.undo()).status_code == 303
    assert await annotator.pair() == first
    for choice in ("left", "same"):  # the later word about a pair counts
        assert (await annotator.say(first[0], choice)).status_code == 303
    assert database.execute("SELECT verdict FROM comparison_verdicts").fetchall() == [("same",)]
    assert (await annotator.say(first[0], "first")).status_code == 422
    assert (await annotator.say("00000000-0000-4000-8000-000000000000", "left")).status_code == 404


async def test_what_cannot_be_compared_is_refused_with_the_way_out(
    client: httpx.AsyncClient, keys: Any, database: Database, versions: Any, visitor: Visitors
) -> None:
    for body, status, said in (
        (versions, 409, "prefill the same briefs with both"),
        (versions | {"baseline": versions["policy"]}, 422, "compare two different policies"),
        (versions | {"policy": "没有"}, 422, "there is no policy version '没有'"),
        (versions | {"pairs": 0}, 422, "pairs"),
    ):
        answer = await client.post("/comparisons", json=body, headers=keys["ops"])
        assert (answer.status_code, said in answer.text) == (status, True), answer.text
    for scope in ("report", "review", "generate"):
        assert (await client.post("/comparisons", json=versions, headers=keys[scope])).status_code == 403
    assert (await client.get("/comparisons/7", headers=keys["report"])).status_code == 404
    assert (await (await visitor("review")).get(f"{PAGE}/7")).status_code == 404
    assert database.execute("SELECT count(*) FROM comparisons").fetchone() == (0,)


async def test_a_reviewer_of_one_advertiser_sees_no_brief_of_another(
    client: httpx.AsyncClient, keys: Any, database: Database, versions: Any, bearer: Any
) -> None:
    add_comparable(database, 3)
    comparison = await create(client, keys, **versions, planted=0)
    key = (await bearer("review", advertiser="青禾跑步 1"))["Authorization"].removeprefix("Bearer ")
    await client.post("/signin", data={"key": key, "csrf": csrf_of(await client.get("/signin"))})
    answer = await client.get(f"{PAGE}/{comparison}")
    assert answer.status_code == 403 and "limited to advertiser" in answer.text


async def test_a_comparison_is_drawn_on_the_page_by_ops_alone(
    database: Database, versions: Any, visitor: Visitors, app: Any
) -> None:
    add_comparable(database, 3)
    operator = await visitor("ops")
    form = {"csrf": csrf_of(await operator.get(PAGE)), "pairs": "2", "name": "Spring texts", **versions}
    assert (await operator.post(PAGE, data=form)).headers["location"] == PAGE
    assert "Spring texts" in await read(operator, PAGE)
    reviewer = await visitor("review")
    form["csrf"] = csrf_of(await reviewer.get(PAGE))
    assert (await reviewer.post(PAGE, data=form)).status_code == 403
    row = database.execute("SELECT action FROM audit_log WHERE action LIKE 'comparison.%'").fetchall()
    assert row == [("comparison.create",)]
