"""Which texts share a pool key, and whose turn it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service import BOOTS

from adtext.brief import AdBrief, AdText
from adtext.spec import load_spec
from app.runtime.pool_cache import Head, Heads, PooledText, Rotation, fallback_key, pool_key

RSA = load_spec("google_rsa")


def a_boot_brief(**over: Any) -> AdBrief:
    ad = BOOTS["ad"] | over.pop("ad", {})
    return AdBrief.model_validate(BOOTS | {"ad": ad} | over)


def texts(size: int) -> list[PooledText]:
    return [
        PooledText(bytes([number]) * 16, AdText(title=f"t{number}", description="d"), 1, "base", "model", "r1")
        for number in range(size)
    ]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"query": "Walking  BOOTS"}, True),  # case and spacing make no other key
        ({"query": "ｗalking boots"}, True),  # nor does width
        ({"query": "hiking boots"}, False),
        ({"bidwords": ["walking boots"]}, False),
        ({"locale": "en-US"}, False),
        ({"ad": {"id": "boots-2"}}, False),
        ({"ad": {"advertiser": "Fell and Moor"}}, False),
        ({"ad": {"landing_page": "Another page."}}, False),
        ({"ad": {"selling_points": ["Test slope in the shop"]}}, False),
        ({"ad": {"approved": []}}, True),  # what the fallback would say is no fact that a text draws on
    ],
)
def test_a_pool_key_is_shared_by_briefs_that_mean_the_same(change: dict[str, Any], same: bool) -> None:
    assert (pool_key("base-1", RSA, a_boot_brief(**change)) == pool_key("base-1", RSA, a_boot_brief())) is same


def test_policies_and_platforms_never_share_a_key() -> None:
    keys = {
        pool_key(policy, load_spec(name), a_boot_brief())
        for policy in ("base-1", "base-2")
        for name in ("google_rsa", "generic")
    }
    assert len(keys) == 4


def test_a_fallback_serves_whoever_asks_for_the_ad() -> None:
    assert fallback_key(RSA, a_boot_brief(query="anything")) == fallback_key(RSA, a_boot_brief())
    assert fallback_key(RSA, a_boot_brief(ad={"approved": []})) != fallback_key(RSA, a_boot_brief())


@given(
    size=st.integers(1, 9),
    asked=st.lists(st.integers(1, 4), min_size=1, max_size=12),
    unit=st.binary(min_size=16, max_size=16),
)
def test_rotation_shows_every_text_equally_often(size: int, asked: list[int], unit: bytes) -> None:
    rotation, pool = Rotation(), texts(size)
    shown = [text.id for n in asked for text in rotation.choose(pool, unit, b"k" * 16, min(n, size))]
    counts = [shown.count(text.id) for text in pool]
    assert max(counts) - min(counts) <= 1


def test_units_start_at_different_texts() -> None:
    pool = texts(4)
    first = [Rotation().choose(pool, unit.to_bytes(4, "big") * 4, b"k" * 16, 1)[0].id for unit in range(400)]
    assert [first.count(text.id) for text in pool] == [100, 100, 100, 100]


def test_a_seen_text_comes_last_but_comes() -> None:
    pool = texts(3)
    turn = Rotation().choose(pool, b"u" * 16, b"k" * 16, 3, frozenset({pool[0].id, pool[1].id}))
    assert turn[0].id == pool[2].id and len(turn) == 3


def test_heads_forget_the_least_used_key_first() -> None:
    heads = Heads(2_500)  # bytes: two heads of one short text
    for key in (b"a", b"b"):
        heads.put(key, Head(texts(1), born=0))
    heads.get(b"a")
    heads.put(b"c", Head(texts(1), born=0))
    assert (heads.get(b"a") is not None, heads.get(b"b"), len(heads)) == (True, None, 2)


def test_heads_are_bounded_by_what_their_texts_weigh() -> None:
    heads = Heads(1024 * 1024)
    for number in range(2_000):
        heads.put(b"short %d" % number, Head(texts(1), born=0))
    short = len(heads)
    long = AdText(title="鞋" * 400, description="跑" * 800, description_2="步" * 800)
    for number in range(2_000):
        heads.put(b"long %d" % number, Head([replace(texts(1)[0], text=long)] * 8, born=0))
    assert 500 < short < 2_000
    assert 10 < len(heads) < 30  # 35 KiB each
