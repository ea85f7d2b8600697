"""Asset sets: the platform combines the lines freely, so every combination must be an ad that may be shown."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations, product

import pytest
from builders import a_brief
from hypothesis import given, settings
from hypothesis import strategies as st

from adtext.advertiser import AdvertiserRules, OwnChecks
from adtext.assets import ASSETS, Candidate, Chosen, Kind, choose, contradicts, repeats
from adtext.brief import AdBrief, AdText
from adtext.checks import check, is_clean
from adtext.fold import squeeze
from adtext.rules import load_rules
from adtext.spec import load_spec

SPEC, RULES = load_spec("google_rsa"), load_rules()
WIDE = replace(SPEC, fields={name: replace(limits, max=400) for name, limits in SPEC.fields.items()})
BRIEFS = {
    "en": a_brief(
        locale="en-GB",
        selling_points=("Wide fit from 2E to 4E", "Free shipping over $50", "30-day returns", "Resoling for $39"),
        landing_page="Trainers weigh 238 g and start at $89. Resoling with new heels costs $59. "
        "Orders leave in 48 hours.",
    ),
    "zh": a_brief(locale="zh-CN"),
    "ja": a_brief(locale="ja-JP"),
}
LINES: dict[str, list[tuple[Kind, str]]] = {
    "en": [
        ("headline", "Wide Running Shoes"),
        ("headline", "Running Shoes, Wide"),  # nearly the same
        ("headline", "Greenfield Running"),
        ("headline", "Running"),  # inside another
        ("headline", "30-Day Returns"),
        ("headline", "60-Day Returns"),  # false
        ("headline", "Resoling for $39"),
        ("headline", "Resoling for $59"),  # another price of the same thing
        ("headline", "Trainers From $89"),
        ("headline", "The Best Trainers"),
        ("headline", "A Headline That Is Far Too Long For One"),
        ("headline", "Fits From 2E to 4E"),
        ("description", "Wide fit from 2E to 4E. Free shipping over $50."),
        ("description", "Free shipping over $50. 30-day returns."),  # repeats a sentence
        ("description", "Orders leave in 48 hours. Find your size today!"),
        ("description", "Trainers weigh 238 g. Find your pair today!"),  # a second exclamation mark
        ("description", "Resoling for $39 in our workshop."),
        ("description", "Guaranteed to cure flat feet."),
        ("description", "Greenfield Running fits runners with wide feet."),
    ],
    "zh": [
        ("headline", "宽楦跑鞋"),
        ("headline", "跑鞋宽楦"),
        ("headline", "满199元包邮"),
        ("headline", "满99元包邮"),
        ("headline", "全网最低价"),
        ("headline", "青禾跑步"),
        ("headline", "30天免费退换"),
        ("description", "青禾跑步，宽楦设计，30天免费退换。"),
        ("description", "30天免费退换。新款缓震跑鞋已上架。"),
        ("description", "下单后48小时内发货。"),
        ("description", "每双238克，提供36到46码。"),
        ("description", "宽楦设计。满199元包邮。"),
    ],
    "ja": [
        ("headline", "幅広ランニングシューズ"),
        ("headline", "幅広設計の靴"),
        ("headline", "30日間返品無料"),
        ("headline", "9,800円から"),
        ("headline", "業界No.1の靴"),
        ("description", "みどりランニングの幅広設計。"),
        ("description", "ご注文から48時間以内に発送。"),
        ("description", "5,000円以上で送料無料です。"),
        ("description", "新作は片足238g、9,800円から。"),
    ],
}


def chosen(language: str, lines: list[tuple[Kind, str]], brief: AdBrief | None = None) -> Chosen:
    return choose([Candidate(kind, value) for kind, value in lines], brief or BRIEFS[language], SPEC, RULES)


def values(found: Chosen, kind: Kind) -> list[str]:
    return [asset.value for asset in found.of(kind)]


@settings(max_examples=40)
@given(data=st.data(), language=st.sampled_from(sorted(LINES)))
def test_every_combination_that_the_platform_may_show_passes_the_checks(data: st.DataObject, language: str) -> None:
    words = [value.split("。")[0].split(".")[0] for _, value in LINES[language]]
    invented = st.tuples(
        st.sampled_from(["headline", "description"]),
        st.lists(st.sampled_from([*words, "!", "$59", "NOW", "|"]), min_size=1, max_size=3).map(" ".join),
    )
    lines = data.draw(st.lists(st.sampled_from(LINES[language]) | invented, max_size=24))
    found, brief = chosen(language, lines), BRIEFS[language]
    headlines, descriptions = values(found, "headline"), values(found, "description")
    assert len(headlines) <= 15 and len(descriptions) <= 4
    squeezed = [squeeze(value) for value in (*headlines, *descriptions)]
    assert len(set(squeezed)) == len(squeezed)
    for headline, description in product(headlines, descriptions):
        assert is_clean(check(AdText(title=headline, description=description), brief, SPEC, RULES))
    shown = list(permutations(descriptions, 2)) or [(value,) for value in descriptions]
    titles = permutations(headlines[:6], min(3, len(headlines))) if headlines else ()
    for title, text in zip(titles, shown * 60, strict=False):
        ad = AdText(title=" | ".join(title), description=" ".join(text))
        assert is_clean(check(ad, brief, WIDE, RULES)), ad


@pytest.mark.parametrize("language", sorted(LINES))
def test_a_set_is_distinct_and_true_and_says_why_it_holds_no_more(language: str) -> None:
    found = chosen(language, LINES[language])
    assert len(found.of("headline")) >= 3 and len(found.of("description")) >= 2
    left_out = sum(found.left_out["headline"].values()) + sum(found.left_out["description"].values())
    assert len(found.assets) + left_out == len(LINES[language])
    everything = " ".join(asset.value for asset in found.assets)
    assert not [false for false in ("60-Day", "cure", "满99元", "最低价", "No.1") if false in everything]
    assert not any(contradicts(one.value, other.value, language) for one, other in combinations(found.assets, 2))


@pytest.mark.parametrize(
    ("one", "other", "says_twice"),
    [
        ("Wide Running Shoes", "Running Shoes, Wide", True),
        ("Wide Running Shoes", "Wide Running Shoes | Fernhill", True),
        ("Boots", "Walking Boots", True),
        ("Walking Boots", "Resoled in Keswick", False),
        ("ＷＩＤＥ shoes", "wide shoes", True),
        ("跑鞋", "宽楦跑鞋", True),
        ("宽楦设计", "满199元包邮", False),
        ("30日間返品無料", "幅広設計の靴", False),
    ],
)
def test_two_headlines_that_say_the_same_are_one(one: str, other: str, says_twice: bool) -> None:
    first, second = Candidate("headline", one), Candidate("headline", other)
    assert repeats(first, second) == repeats(second, first) == says_twice


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        ("Resoling for $39", "Resoling from $59", True),
        ("Resoling for $39", "Resoling at $39, no parcel", False),
        ("Resoling for $39", "Trainers from $89", False),
        ("30-day returns", "Returns within 45 days", True),
        ("30-day returns", "Orders leave in 2 days", False),
        ("跑鞋每双299元", "跑鞋每双399元", True),
        ("跑鞋每双299元", "满199元包邮", False),
        ("靴底の張替え3,900円", "靴底の張替えは5,900円", True),
    ],
)
def test_two_amounts_for_one_thing_contradict(one: str, other: str, contradict: bool) -> None:
    language = "en" if one.isascii() else "ja" if "え" in one else "zh"
    assert contradicts(one, other, language) == contradicts(other, one, language) == contradict


def test_lower_tiers_come_first_and_new_facts_before_more_of_the_same() -> None:
    lines: list[tuple[Kind, str, int]] = [
        ("headline", "Trainers From $89", 2),
        ("headline", "Wide Running Shoes", 0),
        ("headline", "Wide Running Trainers Online", 0),
        ("headline", "30-Day Returns", 0),
    ]
    found = choose([Candidate(*line) for line in lines], BRIEFS["en"], SPEC, RULES)
    assert values(found, "headline") == [
        "Wide Running Shoes",
        "30-Day Returns",
        "Wide Running Trainers Online",
        "Trainers From $89",
    ]


def test_a_required_phrase_stands_in_every_description_since_any_may_be_shown_alone() -> None:
    own = AdvertiserRules.model_validate({"required_phrases": [{"phrase": "Terms apply"}]})
    lines = [*LINES["en"], ("description", "30-day returns on every pair. Terms apply.")]
    found = choose(
        [Candidate(kind, value) for kind, value in lines], BRIEFS["en"], SPEC, RULES.of_advertiser(OwnChecks(own))
    )
    assert values(found, "description") == ["30-day returns on every pair. Terms apply."]
    assert len(found.of("headline")) >= 3


def test_what_may_not_be_shown_together_or_at_all_is_left_out() -> None:
    lines: list[tuple[Kind, str]] = [
        ("headline", "Wide Running Shoes"),
        ("headline", "30-Day Returns"),
        ("description", "Orders leave in 48 hours."),
    ]
    found = choose(
        [Candidate(kind, value) for kind, value in lines],
        BRIEFS["en"],
        SPEC,
        RULES,
        withdrawn={squeeze("30-day returns!")},
        refused={("Wide Running Shoes", "Orders leave in 48 hours.")},
    )
    assert [asset.value for asset in found.assets] == ["Wide Running Shoes"]
    assert found.left_out == {"headline": {"withdrawn": 1}, "description": {"judge": 1}}


def test_only_platforms_that_combine_assets_have_limits() -> None:
    assert set(ASSETS) == {"google_rsa"}
    assert ASSETS["google_rsa"].of("headline") == (3, 15) and ASSETS["google_rsa"].of("description") == (2, 4)
