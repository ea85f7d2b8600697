"""Briefs and texts that tests start from: ordinary ones, changed where a test says so."""

from __future__ import annotations

from typing import Any

from adtext.brief import Ad, AdBrief, AdText
from adtext.spec import load_spec

A_SPEC = load_spec("generic")

_ADS: dict[str, dict[str, Any]] = {
    "zh": {
        "id": "ad-zh",
        "advertiser": "青禾跑步",
        "business": "线上跑鞋店",
        "selling_points": ("宽楦设计", "满199元包邮", "30天免费退换"),
        "landing_page": "青禾跑步专注宽脚跑者。新款缓震跑鞋已上架，每双238克，提供36到46码。下单后48小时内发货。",
        "industry": "apparel",
        "brands": ("青禾",),
    },
    "en": {
        "id": "ad-en",
        "advertiser": "Greenfield Running",
        "business": "Online running shoe store",
        "selling_points": ("Wide fit from 2E to 4E", "Free shipping over $50", "30-day returns"),
        "landing_page": "We fit runners with wide feet. Trainers weigh 238 g and start at $89. Orders leave within 48 "
        "hours.",
        "industry": "apparel",
        "brands": ("Greenfield",),
    },
    "ja": {
        "id": "ad-ja",
        "advertiser": "みどりランニング",
        "business": "ランニングシューズの通販",
        "selling_points": ("幅広設計", "5,000円以上で送料無料", "30日間返品無料"),
        "landing_page": "みどりランニングは幅広の足に合う靴の専門店です。新作は片足238g、9,800円から。"
        "ご注文から48時間以内に発送。",
        "industry": "apparel",
        "brands": ("みどり",),
    },
}
_QUERIES = {
    "zh": ("宽脚跑鞋", ("跑鞋", "宽楦跑鞋")),
    "en": ("wide running shoes", ("running shoes", "wide fit trainers")),
    "ja": ("幅広 ランニングシューズ", ("ランニングシューズ",)),
}
_TEXTS = {
    "zh": ("宽脚也能穿的跑鞋", "青禾跑步，宽楦设计，缓震轻便，欢迎选购。"),
    "en": (
        "Running Shoes For Wide Feet",
        "Cushioned trainers in wide fits from Greenfield Running. Find your size today.",
    ),
    "ja": ("幅広の足に合うランニングシューズ", "みどりランニングの幅広設計。足に合う一足をお選びください。"),
}


def a_brief(
    *, locale: str = "zh-CN", query: str | None = None, bidwords: tuple[str, ...] | None = None, **ad: Any
) -> AdBrief:
    """A running shoe store's brief in the locale's language; other keywords change its ad."""
    language = locale[:2]
    usual_query, usual_bidwords = _QUERIES[language]
    return AdBrief.model_validate(
        {
            "query": usual_query if query is None else query,
            "bidwords": usual_bidwords if bidwords is None else bidwords,
            "ad": Ad.model_validate(_ADS[language] | ad),
            "locale": locale,
        }
    )


def an_ad(*, locale: str = "zh-CN", **fields: str) -> AdText:
    """A compliant text for that brief; keywords change its fields."""
    title, description = _TEXTS[locale[:2]]
    return AdText.model_validate({"title": title, "description": description} | fields)
