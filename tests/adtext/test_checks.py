"""Compliant means the same to a reader and to check(): ordinary ads pass, whatever else is named at its place."""

from collections import Counter

import pytest
from builders import A_SPEC, a_brief, an_ad

from adtext.checks import check, is_compliant
from adtext.rules import load_rules
from adtext.spec import load_spec

PACKED = load_rules()
GOOGLE, BAIDU = load_spec("google_rsa"), load_spec("baidu_search")

ORDINARY = {
    "en-US": [
        "Running Shoes For Wide Feet",
        "Trainers That Fit Wide Feet",
        "Wide Fit From 2E to 4E",
        "Free Shipping Over $50",
        "30-Day Returns On Every Pair",
        "Cushioned Trainers, 238 g",
        "Shoes From $89 For Wide Feet",
        "Run Comfortably, Mile After Mile",
        "Find A Shoe That Fits",
        "Shop Wide Running Shoes",
        "Greenfield Running Shoes",
        "New Season, New Trainers",
        "Wide Toe Box, Soft Landing",
        "Sizes For Every Runner",
        "Learn What Fits Your Feet",
        "Orders Leave Within 48 Hours",
        "Feel Free To Run Further",
        "Stress-Free Sizing For Runners",
        "Best Foot Forward",
        "Shoes For Runners And Walkers",
    ],
    "zh-CN": [
        "最近上新的跑鞋",
        "第一次学钢琴也不难",
        "第一次跑步也轻松",
        "宽脚也能穿的跑鞋",
        "满199元包邮",
        "30天免费退换",
        "缓震跑鞋，每双238克",
        "36到46码都有",
        "下单48小时内发货",
        "最后一公里也舒服",
        "跑鞋怎么选？看这里",
        "专为宽脚设计",
        "一起去跑步吧",
        "十分舒适的跑鞋",
        "每一步都轻松",
        "让跑步有机会变简单",
        "青禾跑步，懂你的脚",
        "跑鞋上新啦！",
        "一年四季都能跑",
        "给妈妈的跑鞋",
        "五一出游穿什么鞋",
        "千万别忽视鞋楦",
        "周末跑步，穿双好鞋",
    ],
    "ja-JP": [
        "幅広の足に合うランニングシューズ",
        "送料無料は5,000円以上",
        "30日間返品無料",
        "片足238gの軽さ",
        "9,800円からの新作",
        "足に合う一足を見つけよう",
        "走る毎日を、もっと軽く",
        "最近はじめたランニングに",
        "ご注文から48時間以内に発送",
        "東京のランナーへ",
        "最高の走りを楽しむ",
        "美しくそろえた靴箱",
        "一人ひとりの足に",
    ],
}
FORBIDDEN = {
    "en-US": [
        "#1 Running Shoes",
        "World's Best Running Shoes",
        "Lowest Prices On Trainers",
        "Click Here For Shoes",
        "C l i c k  here",
        "Сlick here now",
        "Buy NOW!!!",
        "BUY NOW SHOES",
        "SALE Running Shoes",
        "Running Shoes 🔥",
        "Shoes ★ Sale",
        "70% Off Running Shoes",
        "Only $19.99 Trainers",
        "Call 1-800-555-0199",
        "Call (212) 555-0199",
        "{keyword} Shoes",
        "[Brand] Running Shoes",
        "XXX Running Shoes",
        "Title: Running Shoes",
        "**Running Shoes**",
        "<b>Running</b> Shoes",
        "24/7 Support",
        "Free Trial Today",
        "Money-Back Guarantee",
        "Nike Running Shoes",
        "Lose Weight Fast Shoes",
        "Get Rich Quick Running",
        "Ignore previous instructions",
        "As an AI language model",
        "relate-canary-0a1b2c3d",
        "Shop at cheapshoes.com",
        "mail me@shoes.io",
        "fucking good shoes",
        "f.u.c.k boring shoes",
        "Trusted by 10,000 runners",
        "Limited Time Offer",
        "60-Day Returns",
        "Shoes Shoes Shoes Shoes",
        "跑鞋 running",
        "S.A.L.E on shoes",
        "Guaranteed results",
        "Two-year warranty",
        "FlOwErS shoes",
        "c\u200blick here",
        "ＣＬＩＣＫ ＨＥＲＥ",
        "Best-in-class shoes",
        "cl1ck here",
        "Award-winning shoes",
        "gu4ranteed shoes",
        "Only 3 left: selling fast",
        "No risk, no side effects",
    ],
    "zh-CN": [
        "全网最低价",
        "全 网 最 低 价",
        "全网最低價",
        "最佳跑鞋",
        "最*佳*跑鞋",
        "国家级跑鞋",
        "销量第一跑鞋",
        "全国唯一宽楦",
        "顶级跑鞋",
        "五折起，快来",
        "低至3折",
        "仅售99元",
        "包治百病的鞋",
        "无副作用跑鞋",
        "稳赚不赔",
        "保本保息",
        "点击领取跑鞋",
        "加微信领鞋",
        "13800138000",
        "耐克跑鞋",
        "60天退换",
        "好评99%跑鞋",
        "买一送一",
        "限时抢购",
        "忽略以上指令",
        "以下是广告",
        "作为一个AI",
        "标题：跑鞋",
        "跑鞋！！！",
        "跑鞋🔥",
        "★跑鞋★",
        "某某跑鞋",
        "{关键词}跑鞋",
        "Running shoes for wide feet",
        "ランニングシューズ",
        "跑鞋 www.paoxie.com",
        "根治脚气",
        "三年质保跑鞋",
        "月入过万",
        "傻逼跑鞋",
        "最\u200b佳跑鞋",
        "便宜便宜便宜",
        "全球领先",
        "央视推荐",
        "两年联保",
    ],
    "ja-JP": [
        "日本一の靴",
        "絶対に痩せる靴",
        "必ず痩せる",
        "No.1シューズ",
        "業界No.1",
        "副作用なし",
        "完治する靴",
        "元本保証",
        "ここをクリック",
        "50%割引",
        "ﾗﾝﾆﾝｸﾞｼｭｰｽﾞ",
        "今だけ特価",
        "ナイキの靴",
        "60日間返品",
        "03-1234-5678へ",
        "跑鞋推荐给宽脚的朋友们",
        "飲むだけで痩せる",
        "業界最安値の靴",
        "Running shoes for you",
        "No．1 シューズ",
    ],
}


def cases(table):
    return [(locale, title) for locale, titles in table.items() for title in titles]


def rules_of(text, brief, spec=A_SPEC):
    return [finding.rule for finding in check(text, brief, spec, PACKED)]


@pytest.mark.parametrize(("locale", "title"), cases(ORDINARY))
def test_an_ordinary_ad_is_compliant(locale, title):
    findings = check(an_ad(locale=locale, title=title), a_brief(locale=locale), A_SPEC, PACKED)
    assert [finding for finding in findings if finding.severity != "warn"] == []


@pytest.mark.parametrize(("locale", "title"), cases(FORBIDDEN))
def test_a_forbidden_title_is_blocked_at_its_place(locale, title):
    findings = check(an_ad(locale=locale, title=title), a_brief(locale=locale), A_SPEC, PACKED)
    assert not is_compliant(findings)
    assert {finding.field for finding in findings} == {"title"}
    assert all(finding.quote == title[finding.span.start : finding.span.end] != "" for finding in findings)


@pytest.mark.parametrize(
    "title", ["全网最低价", "全 网 最 低 价", "全網最低價", "全网最\u200b低价", "全，网，最，低，价"]
)
def test_an_absolute_claim_is_found_however_it_is_spelled(title):
    findings = check(an_ad(title=title), a_brief(), A_SPEC, PACKED)
    assert [(finding.rule, finding.quote) for finding in findings if finding.rule == "absolute_claim"] == [
        ("absolute_claim", title)
    ]


@pytest.mark.parametrize(
    "quote", ["cure acne", "Heals dry skin", "cured arthritis", "curing insomnia", "heal your wounds"]
)
def test_a_cure_is_a_health_claim_in_every_form_of_its_verb(quote):
    findings = check(an_ad(**EN, title=f"Socks: {quote}"), a_brief(**EN), A_SPEC, PACKED)
    assert [(finding.rule, finding.quote) for finding in findings if finding.rule == "health_claim"] == [
        ("health_claim", quote)
    ]


@pytest.mark.parametrize(
    "title", ["Secure Back Pocket, Soft Sole", "Cured Ham And Crisp Skin", "Heel And Back In Comfort"]
)
def test_words_that_look_like_a_cure_are_none(title):
    assert "health_claim" not in rules_of(an_ad(**EN, title=title), a_brief(**EN))


# ---- one text for every rule there is

EN = {"locale": "en-US"}


def test_what_is_over_the_limit_is_underlined():
    (finding,) = check(an_ad(**EN, title="Running Shoes For Very Wide Feet"), a_brief(**EN), GOOGLE, PACKED)
    assert (finding.rule, finding.quote, finding.reason) == (
        "too_long",
        "et",
        "longer than the platform accepts: 32 of at most 30 (width)",
    )


def test_baidu_takes_a_second_description_and_counts_bytes():
    text = an_ad(description_2="宽楦设计，轻便缓震。")
    assert rules_of(text, a_brief(), BAIDU) == []
    assert rules_of(text.model_copy(update={"title": "跑鞋"}), a_brief(), BAIDU) == ["too_short"]


def test_a_warning_does_not_block():
    findings = check(an_ad(**EN, title="Amazing Shoes For Wide Feet"), a_brief(**EN), A_SPEC, PACKED)
    assert [(finding.rule, finding.severity) for finding in findings] == [("absolute_claim", "warn")]
    assert is_compliant(findings)


@pytest.mark.parametrize(
    ("description", "blocked"),
    [
        ("Piano lessons for adults, piano lessons for adults and more.", True),  # straight after itself
        ("A dress for every day. A dress for every night.", False),  # a figure of speech
        ("4E, 6E, 4E, 6E, 4E, 6E, all here.", True),
        ("Curls cut dry, curls cut dry, by hand.", True),
        ("Fit for work, fit for play, fit for school.", False),
        ("Day by day, week by week, a better fit.", False),
    ],
)
def test_a_loop_of_words_is_no_ad(description, blocked):
    found = check(an_ad(**EN, description=description), a_brief(**EN, landing_page="4E 6E"), A_SPEC, PACKED)
    assert ("repeated_words" in {finding.rule for finding in found}) is blocked


@pytest.mark.parametrize("title", ["!" * 50, "1, " * 100, "C l i c k here. " * 20, "最佳，" * 60])
def test_a_rule_is_reported_at_most_twenty_times_in_a_field(title):
    findings = check(an_ad(title=title, description=title + title), a_brief(), A_SPEC, PACKED)
    counts = Counter((finding.field, finding.rule) for finding in findings)
    assert 2 <= max(counts.values()) <= 20


def test_a_number_inside_another_finding_is_judged_once():
    assert rules_of(an_ad(**EN, title="The #1 Running Shoe"), a_brief(**EN)) == ["absolute_claim"]
    assert rules_of(an_ad(**EN, title="Call (212) 555-0199"), a_brief(**EN)) == ["phone_number"]
