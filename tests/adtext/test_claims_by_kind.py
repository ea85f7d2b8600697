"""Claims are found by kind, whatever their wording; what denies, warns or merely looks like one is innocent."""

from pathlib import Path

import pytest
from builders import A_SPEC, a_brief

from adtext.brief import AdText
from adtext.checks import check, is_compliant
from adtext.rules import load_rules
from benchmarks.compliance import Judged, load_table, verdict

RULES = load_rules()
TABLES = Path(__file__).parents[1] / "data" / "compliance"


def blocked(text, *facts, locale, **ad):
    """The rules that block a description whose brief holds these facts, by default the text itself."""
    brief = a_brief(
        locale=locale, query="shop", bidwords=(), business="", brands=(), landing_page="",
        selling_points=facts or (text,), **ad,
    )  # fmt: skip
    findings = check(AdText(title=brief.ad.advertiser, description=text), brief, A_SPEC, RULES)
    return {finding.rule for finding in findings if finding.severity == "block"}


@pytest.mark.parametrize(
    ("locale", "text", "rule"),
    [
        ("en-GB", "Say goodbye to arthritis", "health_claim"),
        ("en-GB", "The pounds fall off even if you never exercise", "health_claim"),
        ("en-GB", "Nobody is turned down, whatever your credit history", "financial_promise"),
        ("en-GB", "Every student walks into a job", "guaranteed_result"),
        ("en-GB", "You will not find a lower price", "absolute_claim"),
        ("en-GB", "Other makers sell you rubbish", "disparagement"),
        ("zh-CN", "让多年的腰腿疼一去不回", "medical_claim"),
        ("zh-CN", "一万变十万，只要半年", "financial_promise"),
        ("zh-CN", "没有哪双鞋比它更结实", "absolute_claim"),
        ("zh-CN", "省政府接待用茶", "state_endorsement"),
        ("ja-JP", "これ以上の靴はどこにもありません", "absolute_claim"),
        ("ja-JP", "預けたお金は決して減りません", "financial_promise"),
        ("ja-JP", "何もしなくても体重がするする落ちる", "health_claim"),
        ("ja-JP", "よその業者は手抜きばかり", "disparagement"),
    ],
)
def test_a_paraphrased_claim_is_blocked_even_where_the_brief_makes_it(locale, text, rule):
    assert rule in blocked(text, locale=locale)


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en-GB", "Not meant to cure or prevent any disease"),
        ("en-GB", "Nobody can double your money safely"),
        ("en-GB", "The cheapest way to bake bread"),
        ("en-GB", "Yes, yes, yes: the week in three words"),
        ("zh-CN", "不能预防或治疗任何疾病"),
        ("zh-CN", "说保本的多半是骗子"),
        ("zh-CN", "警惕高额返利和刷单"),
        ("ja-JP", "必ず儲かる投資はありません"),
        ("ja-JP", "絶対に痛くないとは言えません"),
    ],
)
def test_a_claim_that_is_denied_or_warned_against_is_innocent(locale, text):
    assert blocked(text, locale=locale) == set()


@pytest.mark.parametrize(
    ("locale", "fact", "text"),
    [
        ("en-GB", "Ages 3+", "Three years and older"),
        ("en-GB", "Third floor", "3rd floor"),
        ("en-GB", "100,000 km warranty", "Warranty for 100 000 km"),
        ("en-GB", "5GB of data", "5 gigabytes of data"),
        ("en-GB", "First month free", "No charge for the first month"),
        ("en-GB", "0% interest", "Interest-free"),
        ("zh-CN", "尺码36至47", "36码到47码都有"),
        ("zh-CN", "时薪22元", "22元一小时"),
        ("zh-CN", "年化利率7.2%", "百分之七点二的年利率"),
        ("zh-CN", "1米8", "180厘米"),
        ("ja-JP", "昭和28年創業", "1953年創業"),
        ("ja-JP", "90分", "1時間半"),
        ("ja-JP", "月額980円", "月980円"),
    ],
)
def test_an_amount_is_grounded_in_other_words(locale, fact, text):
    assert blocked(text, fact, locale=locale) == set()


@pytest.mark.parametrize(
    ("locale", "fact", "text"),
    [
        ("en-GB", "£12 a month", "£12 a year"),
        ("en-GB", "£95 per night", "£95 per week"),
        ("en-GB", "warm boots", "Ready in an hour"),
        ("zh-CN", "每月39元", "每年39元"),
        ("zh-CN", "每晚320元", "每晚两百二"),
        ("ja-JP", "月額980円", "年額980円"),
        ("ja-JP", "全14室", "全二十室"),
    ],
)
def test_a_price_for_another_period_and_another_count_are_invented(locale, fact, text):
    assert blocked(text, fact, locale=locale)


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en-GB", "Indoor pool and spa"),
        ("en-GB", "Personal training included"),
        ("zh-CN", "接送机免费"),
        ("zh-CN", "获德国红点奖"),
        ("ja-JP", "24時間の電話サポート"),
        ("ja-JP", "グッドデザイン賞を受賞"),
    ],
)
def test_what_a_place_or_a_product_has_must_stand_in_the_brief(locale, text):
    assert "ungrounded_offer" in blocked(text, "open on weekdays", locale=locale)
    assert blocked(text, locale=locale) == set()


@pytest.mark.parametrize("language", ["en", "zh", "ja"])
def test_the_rules_hold_their_share_of_the_labelled_table(language):
    judged = [
        Judged(case, verdict(case, RULES))
        for case in load_table(TABLES / "work.tsv")
        if case.brief.language == language
    ]
    offences = [one for one in judged if one.case.expected == "block"]
    innocent = [one for one in judged if one.case.expected == "pass"]
    assert sum(one.outcome == "block" for one in offences) >= 0.9 * len(offences)
    assert sum(not is_compliant(one.findings) for one in innocent) <= 0.03 * len(innocent)
