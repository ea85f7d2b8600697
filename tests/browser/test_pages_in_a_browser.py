"""What a person does with the pages: list, report, breakdown, export, planner, review, kill switch; in the dark, on a
phone, without JavaScript.

Every visit also proves that the browser had nothing to complain of and talked to this server alone (see `visitor`).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from visits import Visitor

pytestmark = pytest.mark.browser

REVIEW, TEXTS = "/pages/review", "/pages/texts"
LIST, PLANNER, NEW = "/pages/experiments", "/pages/planner", "/pages/new-experiment"
REPORT = f"{LIST}/title-relate-v3"
EVERY_PAGE = (
    LIST,
    f"{REPORT}?by=locale",
    f"{LIST}/health-desc",
    f"{LIST}/weight-loss-v2",
    f"{LIST}/nobody",
    PLANNER,
    NEW,
    TEXTS,
    REVIEW,
    "/pages/comparisons",
    "/pages/rules?q=gift&rule=shouting&advertiser=Shop",
)
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "device_scale_factor": 2}


def test_an_analyst_walks_from_the_list_to_an_export(visitor: Visitor, tmp_path: Path) -> None:
    visit = visitor(storage_state=None, accept_downloads=True)
    page = visit.page
    visit.sign_in()
    expect(page.get_by_role("heading", level=1)).to_have_text("Experiments")
    visit.shoot("list")
    page.get_by_role("link", name="title-relate-v3").click()
    expect(page.get_by_role("region", name="Verdict on relate")).to_contain_text("relate is better: CTCVR +")
    visit.plotted()
    visit.shoot("report")
    visit.shoot("report_top", full_page=False)
    page.get_by_role("link", name="industry").click()
    expect(page.get_by_role("table", name="CTCVR by industry")).to_contain_text("apparel")
    visit.plotted()
    visit.shoot("breakdown")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    download.value.save_as(tmp_path / "report.csv")
    header, *rows = (tmp_path / "report.csv").read_text().splitlines()
    assert header.startswith("experiment,phase,view,as_of,control,arm,metric,") and len(rows) == 3


def test_a_report_of_another_day_has_a_link_of_its_own(visitor: Visitor) -> None:
    visit = visitor()
    page = visit.open(REPORT)
    page.get_by_text("Valid traffic, UTC, phase 1").click()
    page.get_by_label("Traffic").select_option("all")
    page.get_by_label("Time zone").fill("Asia/Tokyo")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("All traffic, Asia/Tokyo, phase 1")).to_be_visible()
    assert "view=all" in page.url and "tz=Asia%2FTokyo" in page.url
    expect(page.get_by_text(" JST ").first).to_be_visible()


def test_the_planner_answers_as_its_slider_moves(visitor: Visitor) -> None:
    visit = visitor()
    page = visit.open(PLANNER)
    visit.plotted()
    visit.shoot("planner")
    before = page.locator(".answer strong").first.inner_text()
    page.get_by_role("slider", name="Smallest lift").fill("900")
    page.wait_for_url("**lift_percent=**")
    visit.plotted()
    assert int(page.locator(".answer strong").first.inner_text()) < int(before)


def test_an_operator_drafts_starts_and_stops(visitor: Visitor) -> None:
    visit = visitor()
    page = visit.open(PLANNER)
    page.get_by_role("link", name="Draft an experiment of").click()
    visit.shoot("new-experiment")
    page.get_by_label("Name", exact=True).fill("from-the-planner")
    page.get_by_label("Layer", exact=True).fill("a-layer-of-its-own")
    page.get_by_role("button", name="Create draft").click()
    visit.shoot("draft")
    page.get_by_role("button", name="Start from-the-planner").click()
    expect(page.get_by_text("No impressions are mature yet")).to_be_visible()
    page.get_by_role("button", name="Stop").click()  # the browser asks for the tick first
    expect(page.get_by_role("heading", name="from-the-planner")).to_contain_text("running")
    page.get_by_label("Stop from-the-planner permanently").check()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("heading", name="from-the-planner")).to_contain_text("stopped")


def title(page: Page) -> str:
    return page.get_by_role("region", name="Text").locator(".ad-title").inner_text()


def test_a_reviewer_decides_by_keyboard_alone(visitor: Visitor) -> None:
    visit = visitor()
    page = visit.open(f"{REVIEW}?language=en")
    visit.shoot("review")
    first = title(page)
    expect(page.locator("mark.review")).to_have_count(1)
    expect(page.get_by_role("region", name="Findings")).to_contain_text("The brief")
    expect(page.get_by_text("Selling points")).to_be_hidden()  # the brief is folded
    page.keyboard.press("r")
    expect(page.get_by_role("radio", name="Says something that the brief does not support")).to_be_focused()
    page.keyboard.press("ArrowDown")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Text")).to_have_count(0)  # it was the only one of its language
    with page.expect_navigation():
        page.keyboard.press("u")
    assert title(page) == first
    page.keyboard.press("e")
    field = page.get_by_role("textbox", name="Title")
    expect(field).to_be_focused()
    field.fill("Running Shoes 90% Off area")  # letters that are keys elsewhere are typed here
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("mark.block")).not_to_have_count(0)
    visit.shoot("review-edit-refused")
    visit.complaints.clear()  # the refusal is a 409
    page.get_by_role("textbox", name="Title").fill("Wide Shoes For Runners")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Text")).to_have_count(0)
    page.goto(f"{visit.site.url}{REVIEW}?language=ja")
    page.keyboard.press("a")
    page.wait_for_url("**/pages/review?language=ja")
    expect(page.get_by_role("status", name="Counters")).to_contain_text("2 decided by you today")


def test_a_reviewer_decides_without_javascript(visitor: Visitor) -> None:
    page = visitor(java_script_enabled=False).open(f"{REVIEW}?language=zh")
    decided = title(page)
    page.get_by_text("Reject r").click()
    page.get_by_role("radio", name="Something else").check()
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("region", name="Text")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    assert title(page) == decided


def test_a_served_text_is_withdrawn_and_restored(visitor: Visitor) -> None:
    visit = visitor()
    page = visit.open(TEXTS)
    visit.shoot("texts")
    row = page.get_by_role("row", name="Running Shoes")  # the mark of its finding stands inside the title
    row.get_by_role("link", name="Withdraw…", exact=True).click()
    page.get_by_label("Reason").fill("a complaint")
    visit.shoot("withdraw")
    page.get_by_role("button", name="Withdraw").click()
    withdrawn = page.get_by_role("table", name="What no replica serves")
    expect(withdrawn).to_contain_text("a complaint")
    visit.shoot("texts-withdrawn")
    page.get_by_role("button", name="Restore Wide Running Shoes").click()
    expect(withdrawn).to_have_count(0)
    expect(row.get_by_role("link", name="Withdraw…", exact=True)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_plots_wear_the_pages_colours(visitor: Visitor, scheme: str) -> None:
    visit = visitor(color_scheme=scheme)
    page = visit.open(f"{REPORT}?by=locale")
    visit.plotted()
    visit.shoot(f"report-{scheme}")
    accent = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--accent')")
    drawn = page.evaluate("document.querySelector('.canvas').data[2].line.color")
    assert drawn == accent == {"light": "#2f5bd0", "dark": "#85a5ff"}[scheme]


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_a_phone_never_scrolls_sideways(visitor: Visitor, path: str) -> None:
    visit = visitor(**PHONE)
    page = visit.open(path)
    visit.plotted()
    visit.shoot("phone-" + path.split("/")[-1].split("?")[0])
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    if path == "/pages/experiments/nobody":
        visit.complaints.clear()  # a 404 is what was asked for


def test_a_report_reads_without_javascript(visitor: Visitor) -> None:
    visit = visitor(java_script_enabled=False)
    page = visit.open(f"{REPORT}?by=source")
    visit.shoot("report-without-javascript")
    expect(page.get_by_role("region", name="Verdict on relate")).to_be_visible()
    expect(page.get_by_role("img", name="CTCVR of relate: +")).to_be_visible()
    page.get_by_text("As a table").first.click()
    expect(page.get_by_role("table", name="Cumulative ΔCTCVR of relate")).to_be_visible()


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_a_screen_reader_finds_its_way(visitor: Visitor, path: str) -> None:
    visit = visitor()
    page = visit.open(path)
    visit.plotted()
    assert unnamed(page) == []
    levels = [
        int(heading.evaluate("heading => heading.tagName[1]")) for heading in page.locator("h1, h2, h3, h4").all()
    ]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(next_one <= level + 1 for level, next_one in pairwise(levels))
    for landmark in ("banner", "navigation", "main"):
        assert page.get_by_role(landmark).count() >= 1  # type: ignore[arg-type]
    if path == "/pages/experiments/nobody":
        visit.complaints.clear()


def unnamed(page: Page) -> list[str]:
    """Graphics without a name, fields without a label, tables without a caption, headers without a scope."""
    found: list[str] = page.evaluate("""() => [
        ...[...document.querySelectorAll("body > :not(svg) svg, img")].filter(
            one => !one.closest(".canvas, [aria-hidden]") && !one.getAttribute("aria-label")),
        ...[...document.querySelectorAll("input:not([type=hidden]), select, textarea")].filter(
            one => !one.labels?.length && !one.getAttribute("aria-label")),
        ...[...document.querySelectorAll("table")].filter(one => !one.caption?.textContent.trim()),
        ...[...document.querySelectorAll("th")].filter(one => !one.scope),
        ...[...document.querySelectorAll("button, a[href]")].filter(one => !one.textContent.trim()),
    ].map(one => one.outerHTML.slice(0, 200))""")
    return found
