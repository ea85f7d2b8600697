"""Results are kept within bytes, whatever the size of one."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adtext.brief import AdBrief
from adtext.grounding import facts
from adtext.remember import MIB, footprint, remember
from adtext.rules import load_rules


def a_brief(number: int, page: str) -> AdBrief:
    ad = {"id": f"ad-{number}", "advertiser": "山间咖啡", "landing_page": f"{number} {page}"[:20_000]}
    return AdBrief.model_validate({"query": "手冲咖啡豆", "locale": "zh-CN", "ad": ad})


def test_a_result_is_computed_once_until_others_take_its_room() -> None:
    computed = []

    @remember(0.01)
    def doubled(text: str) -> str:
        computed.append(text)
        return text * 2

    assert [doubled("靴"), doubled("靴")] == ["靴靴"] * 2
    assert computed == ["靴"]
    for number in range(100):
        doubled(f"鞋{number}")
    doubled("靴")
    assert computed.count("靴") == 2


@given(st.lists(st.text(max_size=2_000), max_size=40))
def test_what_is_kept_never_weighs_more_than_allowed(values: list[str]) -> None:
    @remember(0.02)
    def same(value: str) -> tuple[str, ...]:
        return (value, value + "!")

    for value in values:
        assert same(value) == (value, value + "!")
    assert sum(footprint(key) for key in same.cache) <= same.cache.currsize <= 0.02 * MIB


def test_a_result_too_large_to_keep_is_still_a_result() -> None:
    @remember(0.001)
    def repeated(text: str) -> str:
        return text * 10_000

    assert len(repeated("长")) == 10_000
    assert len(repeated.cache) == 0


def test_threads_that_ask_at_once_get_the_same() -> None:
    @remember(0.01)
    def squared(number: int) -> int:
        return number * number

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(squared, [*range(500)] * 4)) == [number * number for number in range(500)] * 4


@pytest.mark.parametrize("page", ["现磨咖啡12元起，买3送1。" * 60, "9.99 off " * 100], ids=["Chinese", "English"])
def test_a_briefs_facts_weigh_about_what_is_counted(page: str) -> None:
    rules = load_rules()
    facts(a_brief(0, "短"), rules.lexicon)
    before = facts.cache.currsize
    tracemalloc.start()
    for number in range(1, 4):
        facts(a_brief(number, page), rules.lexicon)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    counted = facts.cache.currsize - before
    assert counted >= held / 6  # the strings' own cache and two more hold as much again
