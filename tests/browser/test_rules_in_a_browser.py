"""What a person does with the rules page: search, try a text as it is typed, switch a rule; without JavaScript too."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from visits import Visitor

pytestmark = pytest.mark.browser

PAGE = "/pages/rules"


def test_a_text_is_underlined_while_it_is_typed(visitor: Visitor) -> None:
    page = visitor().open(PAGE)
    page.get_by_label("Locale").select_option("zh-CN")
    page.get_by_label("Title").fill("全国最佳跑鞋")
    findings = page.get_by_role("region", name="Findings")
    expect(findings.locator("mark.block").first).to_be_visible()
    page.get_by_label("Title").fill("宽楦跑鞋")
    expect(findings.locator("mark.block")).to_have_count(0)


def test_a_text_is_checked_by_a_button_without_javascript(visitor: Visitor) -> None:
    page = visitor(java_script_enabled=False).open(PAGE)
    page.get_by_label("Title").fill("The best boots in the world")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("region", name="Findings").locator("mark.block").first).to_be_visible()


def test_a_rule_is_searched_switched_and_put_back(visitor: Visitor) -> None:
    page = visitor().open(PAGE)
    page.get_by_role("searchbox").fill("最佳")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("row", name="最佳").first).to_be_visible()
    row = page.locator("#rule-shouting")
    for state, shown in (("review", "review"), ("pack", None)):
        row.locator("summary").click()
        row.get_by_role("combobox").select_option(state)
        row.get_by_role("textbox").fill("tried in a browser")
        row.get_by_role("button").click()
        expect(row.locator(".tag")).to_have_count(1 if shown else 0)
