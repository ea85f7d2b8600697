"""What is kept of a model's raw completions, and what is counted."""

from __future__ import annotations

import pytest
from service import BAD, BOOTS, GOOD

from adtext.brief import AdBrief
from adtext.rules import load_rules
from adtext.spec import load_spec
from app.services.serving.candidates import score, vet

BRIEF = AdBrief.model_validate(BOOTS)
RSA, RULES = load_spec("google_rsa"), load_rules()
MADE_UP = "Title: Walking Boots Sewn in Whitby\nDescription: Ripstop sails and spare spars for every kite that we sell."


def ad(title: str, description: str) -> str:
    return f"Title: {title}\nDescription: {description}"


@pytest.mark.parametrize(
    ("completion", "compliant", "kept"),
    [
        (GOOD[0], 1, 1),
        (BAD, 0, 0),
        ("a boot is a boot", 0, 0),  # does not parse: a candidate that did not comply
        (MADE_UP, 0, 0),  # a worked example's trade, in a place that this brief does not name
        (ad("Boots Resoled in Our", "Leather walking boots resoled in our own workshop."), 0, 0),  # broken off
        (ad("Leather Walking Boots", "Every pair can be resoled in our workshop and"), 0, 0),
        (ad("Boots Resoled in the Shop", "Every pair can be resoled in our own workshop."), 1, 1),
        # the title names nothing that is sold
        (ad("Every Pair in Our Slope", "Every pair can be resoled in our own shop."), 1, 0),
    ],
)
def test_a_text_is_kept_when_it_complies_and_is_about_the_ad(completion: str, compliant: int, kept: int) -> None:
    vetted = vet([completion], BRIEF, RSA, RULES)
    assert (vetted.candidates, vetted.compliant, len(vetted.kept)) == (1, compliant, kept)


def test_spellings_of_one_text_are_one_text_and_the_best_comes_first() -> None:
    vetted = vet([GOOD[1], GOOD[0], GOOD[0].replace("Boots From", "boots from")], BRIEF, RSA, RULES)
    assert vetted.compliant == 3
    assert [candidate.score for candidate in vetted.kept] == sorted(
        (candidate.score for candidate in vetted.kept), reverse=True
    )
    assert len(vetted.kept) == 2


def test_chinese_is_scored_by_its_characters() -> None:
    brief = AdBrief.model_validate(
        {
            "query": "咖啡豆",
            "locale": "zh-CN",
            "ad": {"id": "c", "advertiser": "山间咖啡", "selling_points": ["云南小粒咖啡豆"]},
        }
    )
    on, off = (
        vet([f"标题：{title}\n描述：云南小粒咖啡豆"], brief, load_spec("generic"), RULES).kept
        for title in ("山间咖啡豆", "登山靴换底")
    )
    assert on and not off
    assert score(on[0].text, brief) == 1.0


def test_an_echo_of_a_promise_that_no_ad_may_make_is_not_kept() -> None:
    """Each word by itself is harmless, and the brief holds it: but only where it promises a cure."""
    points = ["Soles that cure baldness overnight", "Resoled in our workshop overnight or by post"]
    ads = [
        ad("Leather Walking Boots", f"Every pair can be resoled in our workshop {end}.")
        for end in ("in Keswick", "overnight", "for baldness")
    ]
    for known, kept in ((points[:1], 1), (points, 2)):
        brief = BRIEF.model_copy(
            update={"ad": BRIEF.ad.model_copy(update={"selling_points": (*BRIEF.ad.selling_points, *known)})}
        )
        vetted = vet(ads, brief, RSA, RULES)
        assert (vetted.compliant, len(vetted.kept)) == (3, kept)
