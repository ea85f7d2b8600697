"""What an annotator does with the page of a blind comparison: by keyboard alone, and without JavaScript."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from visits import Visitor

pytestmark = pytest.mark.browser

PAGE = "/pages/comparisons"


def texts(page: Page) -> list[str]:
    return [page.get_by_role("region", name=side).inner_text() for side in ("Left text", "Right text")]


def press(page: Page, key: str) -> None:
    """A key, once the page listens: every answer loads the next pair."""
    page.wait_for_load_state("load")
    page.keyboard.press(key)


def test_an_annotator_judges_by_keyboard_alone_and_an_analyst_reads_the_result(visitor: Visitor) -> None:
    visit = visitor()
    page = visit.open(PAGE)
    page.get_by_label("Name").fill("By keyboard")
    page.get_by_label("Pairs").fill("3")
    page.get_by_label("Policy", exact=True).select_option(index=1)
    page.get_by_label("Baseline").select_option(index=0)
    page.get_by_role("button", name="Draw the pairs").click()
    row = page.get_by_role("row", name="By keyboard")
    expect(row).to_be_visible()
    visit.shoot("comparisons")
    total = int(row.get_by_role("cell").nth(1).inner_text())
    row.get_by_role("link", name="By keyboard").first.click()
    progress = page.get_by_role("status", name="Progress")
    expect(progress).to_have_text(f"0 of {total} judged")
    visit.shoot("compare")
    first = texts(page)
    press(page, "1")
    expect(progress).to_have_text(f"1 of {total} judged")
    press(page, "u")
    expect(progress).to_have_text(f"0 of {total} judged")
    assert texts(page) == first
    for number in range(1, total + 1):
        press(page, "123"[number % 3])
        expect(progress).to_have_text(f"{number} of {total} judged")
    expect(page.get_by_text("You have judged every pair")).to_be_visible()
    page.get_by_role("link", name="All comparisons").click()
    page.get_by_role("link", name="Result of By keyboard").click()
    expect(page.get_by_role("region", name="Result")).to_contain_text("No reading counts yet")
    expect(page.get_by_role("table", name="Readings")).to_contain_text("unreliable")
    visit.shoot("comparison")


def test_an_annotator_judges_without_javascript(visitor: Visitor) -> None:
    visit = visitor(java_script_enabled=False)
    page = visit.open(PAGE)
    page.get_by_label("Name").fill("By mouse")
    page.get_by_label("Policy", exact=True).select_option(index=1)
    page.get_by_label("Baseline").select_option(index=0)
    page.get_by_role("button", name="Draw the pairs").click()
    page.get_by_role("row", name="By mouse").get_by_role("link").first.click()
    page.get_by_role("button", name="Same").click()
    expect(page.get_by_role("status", name="Progress")).to_contain_text("1 of ")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status", name="Progress")).to_contain_text("0 of ")
