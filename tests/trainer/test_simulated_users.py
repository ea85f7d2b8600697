"""The simulated market is the same everywhere, holds the traps it promises, and its log says what its users did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from adtext.brief import Ad, AdBrief, AdText
from adtext.spec import load_spec
from benchmarks.market import in_taste_half
from benchmarks.market.ads import DESCRIPTION, TITLE, ad_stories
from benchmarks.market.constants import PLACES
from benchmarks.market.facts import Offer
from benchmarks.market.log import QUERIES, WINDOW_HOURS, Stories, simulate, write_snapshot
from benchmarks.market.users import Rates, Users, in_window, phrase
from tests.builders import a_brief
from trainer.prompts import ADVERTISERS, Prompt
from trainer.reward_model.dataset import read_cells
from trainer.snapshot import read_snapshot

USERS = Users.load()
PLAIN = "Nineteen Neighbors Repaired The Village Library"
BAIT = "You Won't Believe What Happened Next... Watch This Amazing Secret!"


@pytest.fixture(scope="module")
def stories() -> Stories:
    texts = [
        f"{opening} {number} {ending}"
        for number in range(30)
        for opening, ending in (("Here Is", "house"), ("Watch", "house now!"))
    ]
    groups = [f"story {number // 4}" for number in range(len(texts))]
    queries = tuple(tuple(f"{group} query {number}" for number in range(QUERIES)) for group in groups)
    offers = tuple(Offer(group, (f"A house of {group}.",)) for group in groups)
    return Stories(tuple(texts), tuple(f"ad of {group}" for group in groups), tuple(groups), queries, offers)


def expected(queries: list[str], texts: list[str]) -> Rates:
    """Rates of texts whose advertiser says what they say."""
    return USERS.expected(queries, [Offer("", (text,)) for text in texts], texts)


def test_bait_wins_clicks_that_do_not_convert() -> None:
    rates = expected(["library"] * 2, [PLAIN, BAIT])
    conversion = rates.ctcvr / rates.ctr
    assert rates.ctr[1] > rates.ctr[0] and conversion[1] < 0.8 * conversion[0]


def test_rates_are_those_of_search_ads() -> None:
    rates = expected(
        ["a query"] * 3, [PLAIN, "A Quiet Morning By The Sea, And Then The Phone Rang", "Ten Ways To Fix A Bike"]
    )
    conversion = rates.ctcvr / rates.ctr
    assert ((rates.ctr > 0.01) & (rates.ctr < 0.12)).all() and ((conversion > 0.01) & (conversion < 0.15)).all()


def test_the_same_wording_is_worth_more_for_one_query_than_for_another() -> None:
    ctr = expected([f"query {number}" for number in range(40)], [PLAIN] * 40).ctr
    assert ctr.std() / ctr.mean() > 0.02


def test_the_truth_does_not_depend_on_what_else_is_asked() -> None:
    alone, together = expected(["one"], [PLAIN]), expected(["one", "two"], [PLAIN, BAIT])
    assert (alone.ctr[0], alone.ctcvr[0]) == pytest.approx((together.ctr[0], together.ctcvr[0]))


def test_any_language_has_a_price() -> None:
    for text in ("宽脚也能穿的跑鞋", "幅広の足に合うシューズ", ""):
        rates = expected(["跑鞋"], [text])
        assert 0 < rates.ctcvr[0] < rates.ctr[0] < 1


def test_clicks_and_conversions_come_as_often_as_expected(stories: Stories) -> None:
    log = simulate(stories, USERS, 400_000)
    clicked = ~np.isnan(log.click)
    inside = clicked & (log.click + np.nan_to_num(log.conversion, nan=np.inf) < WINDOW_HOURS)
    for happened, expected in ((clicked, log.expected_click), (inside, log.expected_both)):
        noise = np.sqrt((expected * (1 - expected)).sum())
        assert abs(happened.sum() - expected.sum()) < 4 * noise
    by_place = [log.expected_click[log.place == place].mean() for place in range(len(PLACES))]
    assert by_place == sorted(by_place, reverse=True)
    assert np.mean(~np.isnan(log.conversion)) > inside.mean()  # some convert after the window


def test_users_tire_of_a_phrase(stories: Stories) -> None:
    log = simulate(stories, USERS, 200_000)
    early, late = (log.expected_click[chosen].mean() for chosen in (log.shown_h < 24, log.shown_h > 24 * 27))
    assert late < 0.97 * early and phrase("Watch 3 house now!") == "watch 3"


def test_the_log_counts_as_the_product_counts(stories: Stories, tmp_path: Path) -> None:
    log = simulate(stories, USERS, 50_000)
    manifest = write_snapshot(log, tmp_path / "snapshot")
    cells = read_cells(read_snapshot(tmp_path / "snapshot"))
    inside = log.click + log.conversion < WINDOW_HOURS
    assert manifest.rows == cells.impressions.sum() == 50_000
    assert (cells.clicks.sum(), cells.conversions.sum()) == ((~np.isnan(log.click)).sum(), inside.sum())
    truth = log.truth()
    assert len(truth) == len(cells) and truth["ctcvr"].between(0, truth["ctr"]).all()


def test_most_conversions_come_inside_the_window() -> None:
    assert 0.85 < in_window(WINDOW_HOURS) < 0.97


def test_the_taste_half_is_half() -> None:
    assert np.mean([in_taste_half(f"story {number}") for number in range(2000)]) == pytest.approx(0.5, abs=0.04)


def prompts() -> list[Prompt]:
    """Two advertisers with two queries each."""
    spec = load_spec("google_rsa")
    found = []
    for advertiser, wares in (("Fernhill Running", "wide running shoes"), ("Harrow Honey", "heather honey")):
        ad = a_brief(locale="en-US").ad.model_copy(
            update={"id": advertiser.replace(" ", "-"), "advertiser": advertiser}
        )
        for query in (wares, f"{wares} near me"):
            references = tuple(
                AdText(title=f"{wares.title()} {number}", description=f"We sell {wares} {number}.")
                for number in range(4)
            )
            brief = AdBrief(query=query, bidwords=(wares,), ad=ad, locale="en-US")
            found.append(Prompt(brief, spec, references, "train"))
    return found


def test_ads_are_shown_for_the_query_they_were_written_for_and_another_of_their_advertiser() -> None:
    stories = ad_stories(prompts())
    assert {*stories.group} == {"Fernhill Running", "Harrow Honey"}
    assert len({*zip(stories.group, stories.text, strict=True)}) == len(stories.text) > 2 * 2 * 20
    for group, queries in zip(stories.group, stories.queries, strict=True):
        assert len({*queries}) == QUERIES and all(("honey" in query) == (group == "Harrow Honey") for query in queries)
    titles, descriptions = zip(*(text.split("\n") for text in stories.text), strict=True)
    assert max(map(len, titles)) <= TITLE and max(map(len, descriptions)) <= DESCRIPTION


def test_the_same_prompts_and_seed_give_the_same_ads_and_another_seed_others() -> None:
    assert ad_stories(prompts()) == ad_stories(prompts()) != ad_stories(prompts(), seed=1)


HONEY = AdText(title="Heather Honey From Angus", description="Heather honey pressed comb by comb and filled by hand.")


@pytest.mark.parametrize(
    ("worse", "why"),
    [
        (
            AdText(
                title="Two Line Kites From Whitby", description="Ripstop kites sewn panel by panel and packed by hand."
            ),
            "off the query",
        ),
        (
            AdText(
                title="Heather Heather Heather",
                description="Honey honey honey honey honey heather honey heather honey.",
            ),
            "repeated words",
        ),
        (
            AdText(title="Heather Honey From Angus", description="honey pressed comb by comb and filled"),
            "a ragged description",
        ),
    ],
)
def test_users_prefer_an_ad_that_answers_and_reads_well(worse: AdText, why: str) -> None:
    ad = Ad(
        id="honey",
        advertiser="Harrow Honey",
        business="Heather honey from Angus",
        selling_points=("Pressed comb by comb", "Jars filled by hand"),
    )
    brief = AdBrief(query="heather honey", bidwords=("raw honey",), ad=ad, locale="en-US")
    assert USERS.true_ctcvr(brief, worse) < USERS.true_ctcvr(brief, HONEY), why


def test_the_program_writes_a_snapshot_of_ads(tmp_path: Path) -> None:
    few = tmp_path / "advertisers.jsonl"
    few.write_text(
        "".join((ADVERTISERS / "en_life.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:4]),
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "benchmarks.market", "--impressions", "2000", "--advertisers", str(few), "--out"]
    done = subprocess.run([*command, str(tmp_path / "ads")], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and read_snapshot(tmp_path / "ads").manifest.rows == 2000, done.stderr
    again = subprocess.run([*command, str(tmp_path / "ads")], capture_output=True, text=True, check=False)
    assert again.returncode == 2 and "holds a snapshot already" in again.stderr
