"""Which phrases a policy repeats, where they stand, and what diversity makes of them."""

from itertools import cycle
from pathlib import Path

import pytest
from ngram_builders import a_brief, a_text, observed, quotes

from adtext.examples import load_examples
from adtext.ngrams import FrequentNgrams, copy_rate, distinct, diversity

EXAMPLES = load_examples(Path(__file__).parents[2] / "examples" / "briefs.jsonl")
HUMAN = [example.brief() for example in EXAMPLES if not example.tags & {"hostile", "invalid"}]


def unlike(count, start=0):
    """Titles without a word in common."""
    return [f"left{number} right{number}" for number in range(start, start + count)]


# ---- what is high-frequency


@pytest.mark.parametrize(
    ("briefs", "repeating", "frequent"),
    [
        (3, 3, True),
        (3, 2, False),
        (60, 3, True),
        (61, 3, False),
        (61, 4, True),
        (100, 5, True),
        (100, 4, False),
        (288, 15, True),
        (288, 14, False),
    ],
)
def test_an_ngram_enters_at_five_percent_of_the_briefs_and_three_of_them(briefs, repeating, frequent):
    ngrams = observed(["shop now"] * repeating + unlike(briefs - repeating))
    assert quotes(ngrams, a_text("Shop now")) == ([("title", "Shop now")] if frequent else [])


@pytest.mark.parametrize(("left", "frequent"), [(5, True), (4, True), (3, True), (2, False)])
def test_an_ngram_leaves_below_three_percent(left, frequent):
    ngrams = observed(["shop now"] * 5 + unlike(95), window=100)
    assert quotes(ngrams, a_text("Shop now"))
    for number, title in enumerate(unlike(5 - left, start=1000)):  # each takes the place of the oldest "shop now"
        ngrams.observe(a_brief(1000 + number), [a_text(title)])
    assert bool(quotes(ngrams, a_text("Shop now"))) == frequent


def test_an_ngram_that_left_comes_back_at_five_percent_only():
    ngrams = observed(["shop now"] * 5 + unlike(95), window=100)
    heard = [bool(quotes(ngrams, a_text("Shop now")))]
    for number, title in enumerate([*unlike(5, start=1000), *["shop now"] * 5]):
        ngrams.observe(a_brief(1000 + number), [a_text(title)])
        heard.append(bool(quotes(ngrams, a_text("Shop now"))))
    assert heard == [True, True, True, False, False, False, False, False, False, False, True]


def test_the_texts_of_one_brief_count_once():
    ngrams = FrequentNgrams()
    for number in range(2):
        ngrams.observe(a_brief(number), [a_text("shop now")] * 5)
    assert quotes(ngrams, a_text("Shop now")) == []


def test_a_brief_seen_again_counts_once_and_with_its_latest_texts():
    ngrams = FrequentNgrams()
    for number in (0, 1, 1, 1):
        ngrams.observe(a_brief(number), [a_text("shop now")])
    assert quotes(ngrams, a_text("Shop now")) == []
    for number in range(3):
        ngrams.observe(a_brief(number), [a_text("order today")])
    assert quotes(ngrams, a_text("Shop now, order today")) == [("title", "order today")]


def test_only_the_latest_distinct_briefs_are_remembered():
    ngrams = observed(["shop now"] * 3 + unlike(4), window=4)
    assert quotes(ngrams, a_text("Shop now")) == []


def test_an_ngram_never_crosses_a_field_border():
    ngrams = FrequentNgrams()
    for number in range(3):
        ngrams.observe(a_brief(number), [a_text(f"left{number} shop", f"now right{number}")])
    assert quotes(ngrams, a_text("shop now")) == []


@pytest.mark.parametrize(
    ("repeated", "text", "found"),
    [
        ("order today", "Boots: Order, today!", "Order, today"),
        ("order today", "ＯＲＤＥＲ　ＴＯＤＡＹ for boots", "ＯＲＤＥＲ　ＴＯＤＡＹ"),
        ("order today", "or\u200bder today for boots", "or\u200bder today"),
        ("don't wait", "Boots? Don’t wait.", "Don’t wait"),
        ("立即购买", "跑鞋立即购买吧", "立即购买"),
        ("立即购买", "跑鞋立即購買吧", "立即購買"),
        ("立即购买", "跑鞋 立 即 购 买", "立 即 购 买"),
        ("今すぐ購入", "弁当を今すぐ購入", "今すぐ購入"),
        ("ｶﾞｲﾄﾞを見る", "弁当のガイドを見る", "ガイドを見る"),
        ("仅售 9.9 元", "课程仅售9.9元", "仅售9.9元"),
    ],
)
def test_a_hit_quotes_the_raw_text_however_it_is_spelled(repeated, text, found):
    assert quotes(observed([repeated] * 3), a_text(text)) == [("title", found)]


def test_a_word_that_repeats_alone_is_no_ngram():
    assert quotes(observed([f"boots left{number}" for number in range(3)]), a_text("Boots, sturdy boots")) == []


def test_hits_are_the_longest_runs_in_reading_order():
    ngrams = observed(["order your pair today", "and save money", "visit us"] * 3)
    text = a_text("Order your pair today and save money", "Boots", "Visit us")
    assert quotes(ngrams, text) == [("title", "Order your pair today and save money"), ("description_2", "Visit us")]


# ---- exemptions


@pytest.mark.parametrize(
    ("brief", "found"),
    [
        (None, ["rain boots for Acme Hill"]),
        (a_brief(), ["rain boots for Acme Hill"]),
        (a_brief(query="red rain boots"), ["boots for Acme Hill"]),
        (a_brief(query="rain boots for acme hill"), []),
        (a_brief(bidwords=("rain boots for",), advertiser="Acme Hill"), ["for Acme"]),
        (a_brief(bidwords=("rain boots for",), brands=("For Acme Hill",)), []),
        (a_brief(page="rain boots for acme hill"), ["rain boots for Acme Hill"]),
    ],
    ids=["no brief", "nothing said", "query", "whole query", "bidword and advertiser", "bidword and brand", "page"],
)
def test_what_stands_wholly_inside_query_bidword_or_name_is_exempt(brief, found):
    pairs = observed([pair for pair in ("rain boots", "boots for", "for acme", "acme hill") for _ in range(3)])
    assert [quote for _, quote in quotes(pairs, a_text("Rare rain boots for Acme Hill"), brief)] == found


def test_a_longer_ngram_that_is_only_partly_inside_the_query_is_no_exemption():
    ngrams = observed(["rain boots today"] * 3)
    assert quotes(ngrams, a_text("Rain boots today"), a_brief(query="rain boots")) == [("title", "Rain boots today")]


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("boots cost $49", ["only", "today"]),
        ("boots cost $4.9", ["only $49 today"]),
        ("since 1949", ["only $49 today"]),
    ],
)
def test_a_number_that_stands_in_the_brief_is_exempt(page, found):
    ngrams = observed(["only $49 today"] * 3)
    assert [quote for _, quote in quotes(ngrams, a_text("Boots only $49 today"), a_brief(page=page))] == found


# ---- diversity and its neighbours


def test_human_ads_are_diverse():
    frequent = FrequentNgrams()
    for brief in HUMAN:
        frequent.observe(brief, brief.ad.approved)
    pairs = [(ad, brief) for brief in HUMAN for ad in brief.ad.approved]
    titles = [(a_text(ad.title), brief) for ad, brief in pairs]
    assert diversity([ad for ad, _ in pairs], frequent, [brief for _, brief in pairs]) >= 0.95
    assert diversity([ad for ad, _ in titles], frequent, [brief for _, brief in titles]) >= 0.95


TEMPLATES = {
    "en": [
        (
            "Shop {} Online Today",
            "Discover quality you can trust, with friendly service and fast delivery. Visit our website and order "
            "today.",
        ),
        (
            "Looking For {}? Start Here",
            "Browse our wide range, compare prices in minutes and find what you need. Get started with us now.",
        ),
        (
            "{} Made Easy For You",
            "We make it simple: choose online, talk to our friendly team, and enjoy a service made around you.",
        ),
    ],
    "zh": [
        ("{}，品质之选放心购", "多年经验，专业团队贴心服务，价格公道，欢迎点击了解详情，立即在线咨询。"),
        ("想要{}？来这里看看吧", "种类齐全，支持在线比较，客服随时解答您的问题，点击进入官网了解更多内容。"),
        ("{}一站式服务轻松搞定", "流程简单透明，省时省心又省力，老客户纷纷回购推荐，期待您的光临与选择。"),
    ],
}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_three_rotating_templates_are_not_diverse(language):
    briefs = [brief for brief in HUMAN if brief.language == language]
    texts = [
        a_text(title.format(brief.bidwords[0]), description)
        for brief, (title, description) in zip(briefs, cycle(TEMPLATES[language]), strict=False)
    ]
    frequent = FrequentNgrams()
    for brief, text in zip(briefs, texts, strict=True):
        frequent.observe(brief, [text])
    assert diversity(texts, frequent, briefs) <= 0.30


def test_diversity_is_the_mean_share_outside_frequent_ngrams():
    frequent = observed(["shop now"] * 3)
    texts = [a_text("Shop now"), a_text("Shop now rain boots"), a_text("Rain boots", "Shop"), a_text("!")]
    assert [1 - frequent.share(text) for text in texts] == [0, 0.5, 1, 1]
    assert diversity(texts, frequent) == pytest.approx(0.625)


def test_the_diversity_of_nothing_is_refused():
    with pytest.raises(ValueError, match="0 texts"):
        diversity([], FrequentNgrams())
    with pytest.raises(ValueError, match="1 briefs for 2 texts"):
        diversity([a_text("a"), a_text("b")], FrequentNgrams(), [a_brief()])
    with pytest.raises(ValueError, match="window 0"):
        FrequentNgrams(window=0)


@pytest.mark.parametrize(
    ("titles", "count"),
    [
        ([], 0),
        (["Rain boots for kids"], 1),
        (["Rain boots for kids", "rain  boots, for KIDS!"], 1),
        (["防水童鞋雨天也轻松出门", "防水童鞋，雨天也轻松出門"], 1),
        (["Rain boots for kids", "Winter coats for kids"], 2),
        (["宽楦跑鞋三种鞋楦可挑", "收到后试穿三十天再决定"], 2),
        (
            [
                "Warm boots for small feet in the wet spring rain",
                "Warm boots for small feet in the wet spring rain today",
            ],
            1,
        ),
        (["!", "?"], 1),
    ],
)
def test_distinct_texts_are_counted_after_folding_and_merging(titles, count):
    assert distinct([a_text(title) for title in titles]) == count


@pytest.mark.parametrize(
    ("page", "title", "rate"),
    [
        ("one two three four five six seven eight nine", "One two three four five six seven eight", 1.0),
        ("one two three four five six seven eight nine", "One two three four five six seven", 0.0),
        ("one two three four five six seven eight nine", "zero One two three four five six seven eight zero", 0.8),
        ("收到后可以穿着跑步试三十天", "收到后可以穿着跑步", 1.0),
        ("收到后可以穿着跑步试三十天", "穿上它去跑步吧朋友们", 0.0),
        ("", "One two three four five six seven eight", 0.0),
        ("one two three", "", 0.0),
    ],
)
def test_the_copy_rate_is_the_share_inside_eight_grams_of_the_brief(page, title, rate):
    assert copy_rate(a_text(title), a_brief(page=page)) == pytest.approx(rate)
