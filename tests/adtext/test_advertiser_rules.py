"""An advertiser's own rules: what it excludes is found as words in three languages, what it requires must stand there,
what it proves is no finding, and what contradicts itself is refused.
"""

from __future__ import annotations

import pytest
from builders import A_SPEC, a_brief, an_ad
from pydantic import ValidationError

from adtext.advertiser import AdvertiserRules, OwnChecks
from adtext.checks import check, examine
from adtext.conflicts import conflicts
from adtext.rules import load_rules

RULES = load_rules()


def own(**body):
    return OwnChecks(AdvertiserRules.model_validate(body))


def found(text, locale, rule, **body):
    rules = RULES.of_advertiser(own(**body))
    findings = check(an_ad(locale=locale, title=text), a_brief(locale=locale), A_SPEC, rules)
    return [finding.quote for finding in findings if finding.rule == rule]


@pytest.mark.parametrize(
    ("term", "locale", "text", "quotes"),
    [
        ("cheap", "en-US", "Cheap shoes for wide feet", ["Cheap"]),
        ("cheap", "en-US", "Not cheap, but wide", ["cheap"]),  # what is excluded is not said at all
        ("cheap", "en-US", "Shoes sold cheaply", []),
        ("cheap", "en-US", "c h e a p shoes", ["c h e a p"]),
        ("京东", "zh-CN", "京东有售的宽楦跑鞋", ["京东"]),
        ("京东", "zh-CN", "南京东路的宽楦跑鞋", []),
        ("京东", "zh-CN", "京 东 有售的跑鞋", ["京 东"]),
        ("便宜", "zh-CN", "便宜的宽楦跑鞋", ["便宜"]),
        ("ケア", "ja-JP", "足のケア用品", ["ケア"]),
        ("ケア", "ja-JP", "デイケアの靴", []),
        ("激安", "ja-JP", "激安のランニングシューズ", ["激安"]),
    ],
)
def test_an_excluded_term_is_found_as_a_word(term, locale, text, quotes):
    assert found(text, locale, "excluded_term", excluded_terms=[term]) == quotes


@pytest.mark.parametrize(
    ("text", "quotes"),
    [
        ("Our price beats the rest", ["price beats"]),
        ("Beats every other price", ["Beats every other price"]),
        ("A fair price. It beats walking", []),
        ("A fair price", []),
    ],
)
def test_a_restriction_may_need_two_words_in_one_clause(text, quotes):
    restriction = {"reason": "never compare prices", "words": ["price", "prices"], "near": ["beat", "beats"]}
    assert found(text, "en-US", "restriction", restrictions=[restriction]) == quotes


def test_a_restriction_gives_its_own_reason_and_severity():
    restriction = {"reason": "we never speak of weight", "words": ["重量"], "severity": "review"}
    rules = RULES.of_advertiser(own(restrictions=[restriction]))
    (finding,) = check(an_ad(title="宽楦跑鞋，重量见详情"), a_brief(), A_SPEC, rules)
    assert (finding.rule, finding.severity, finding.reason) == ("restriction", "review", "we never speak of weight")


@pytest.mark.parametrize(
    ("phrase", "title", "missing"),
    [
        ({"phrase": "了解详情"}, "宽脚跑鞋，了解详情", False),
        ({"phrase": "了解详情"}, "宽脚跑鞋", True),
        ({"phrase": "了解详情", "field": "description"}, "宽脚跑鞋，了解详情", True),
        ({"phrase": "了解详情", "locales": ["ja-JP"]}, "宽脚跑鞋", False),
    ],
)
def test_a_required_phrase_must_stand_where_it_is_required(phrase, title, missing):
    rules = RULES.of_advertiser(own(required_phrases=[phrase]))
    findings = check(an_ad(title=title), a_brief(), A_SPEC, rules)
    assert ["required_phrase"] * missing == [finding.rule for finding in findings]
    assert all(finding.severity == "block" and finding.suggestion == "了解详情" for finding in findings)


def test_a_trademark_may_be_named_though_the_brief_does_not_hold_it():
    text = an_ad(locale="en-US", title="Running shoes by Nike")
    brands = [finding.quote for finding in check(text, a_brief(locale="en-US"), A_SPEC, RULES)]
    rules = RULES.of_advertiser(own(trademarks=["Nike"]))
    assert (brands, check(text, a_brief(locale="en-US"), A_SPEC, rules)) == (["Nike"], [])


@pytest.mark.parametrize(
    ("locale", "title", "claim", "quote"),
    [
        ("en-US", "Best value running shoes", "best value running shoes", "Best value"),
        ("zh-CN", "宽脚跑者的首选跑鞋", "宽脚跑者的首选", "首选"),
        ("ja-JP", "最安値のシューズ", "最安値", "最安値"),
    ],
)
def test_a_claim_with_evidence_is_no_finding_and_names_its_evidence(locale, title, claim, quote):
    text, brief = an_ad(locale=locale, title=title), a_brief(locale=locale)
    (finding,) = check(text, brief, A_SPEC, RULES)
    assert (finding.rule, finding.severity, finding.quote) == ("absolute_claim", "review", quote)
    rules = RULES.of_advertiser(own(evidence=[{"id": "EV-7", "claim": claim}]))
    examined = examine(text, brief, A_SPEC, rules)
    assert examined.findings == []
    assert [(proof.evidence, proof.rule, proof.quote) for proof in examined.proofs] == [
        ("EV-7", "absolute_claim", quote)
    ]


def test_evidence_excuses_nothing_that_is_blocked():
    rules = RULES.of_advertiser(own(evidence=[{"id": "EV-7", "claim": "全国最佳"}]))
    findings = check(an_ad(title="全国最佳跑鞋"), a_brief(), A_SPEC, rules)
    assert "absolute_claim" in [finding.rule for finding in findings if finding.severity == "block"]


def test_equal_rules_have_one_version_and_different_ones_another():
    first, same, other = own(excluded_terms=["cheap"]), own(excluded_terms=["cheap"]), own(excluded_terms=["cheep"])
    assert first.version == same.version != other.version
    assert RULES.of_advertiser(first).version == f"{RULES.version}+{first.version}"


# ---- refused

LONG = ("Terms and conditions apply to every order. " * 4).strip()


@pytest.mark.parametrize(
    ("body", "field", "value", "rule"),
    [
        ({"excluded_terms": ["x-ray", "Greenfield"]}, "excluded_terms.1", "Greenfield", "forbids_own_name"),
        ({"excluded_terms": ["running"]}, "excluded_terms.0", "running", "forbids_own_name"),
        ({"excluded_terms": ["青禾"]}, "excluded_terms.0", "青禾", "forbids_own_name"),
        ({"excluded_terms": ["aero"], "trademarks": ["Aero"]}, "excluded_terms.0", "aero", "forbids_own_name"),
        (
            {"restrictions": [{"reason": "r", "words": ["Greenfield"]}]},
            "restrictions.0", "Greenfield", "forbids_own_name",
        ),
        (
            {"excluded_terms": ["terms"], "required_phrases": [{"phrase": "Terms apply"}]},
            "required_phrases.0.phrase", "Terms apply", "required_and_forbidden",
        ),
        (
            {"required_phrases": [{"phrase": "全国最佳"}]},
            "required_phrases.0.phrase", "全国最佳", "required_and_blocked",
        ),
        ({"required_phrases": [{"phrase": LONG}]}, "required_phrases.0.phrase", LONG, "no_room"),
        ({"excluded_terms": ["!!!"]}, "excluded_terms.0", "!!!", "no_words"),
    ],
)  # fmt: skip
def test_rules_that_contradict_themselves_are_refused_with_field_value_and_reason(body, field, value, rule):
    refused = conflicts(own(**body), "Greenfield Running", ("青禾", "Greenfield"), RULES)
    assert (field, value, rule) in [(conflict.field, conflict.value, conflict.rule) for conflict in refused]
    assert all(conflict.detail for conflict in refused)


@pytest.mark.parametrize(
    "body",
    [
        {"excluded_terms": ["cheap", "便宜", "格安"], "trademarks": ["Gore-Tex"]},
        {"excluded_terms": ["run"]},  # a word, not a part of Running
        {
            "excluded_terms": ["term"],
            "required_phrases": [{"phrase": "Terms apply"}, {"phrase": "广告", "field": "title"}],
        },
        {"required_phrases": [{"phrase": "本品不能代替药物", "locales": ["zh-CN"]}]},
    ],
)  # fmt: skip
def test_rules_that_agree_are_taken(body):
    assert conflicts(own(**body), "Greenfield Running", ("青禾",), RULES) == []


@pytest.mark.parametrize(
    "body",
    [
        {"excluded_terms": [f"term{number}" for number in range(26)]},
        {"restrictions": [{"reason": "r", "words": ["w"]}] * 41},
        {"excluded_terms": ["two\nlines"]},
        {"restrictions": [{"reason": "r", "words": []}]},
        {"tone": "warm"},
    ],
)
def test_rules_beyond_the_limits_are_refused(body):
    with pytest.raises(ValidationError):
        AdvertiserRules.model_validate(body)
