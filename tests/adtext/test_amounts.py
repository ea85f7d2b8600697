"""What an amount of a text says: its kind, its value in the family's base unit, and the characters that say it."""

from __future__ import annotations

import pytest

from adtext.amounts import amounts
from adtext.fold import fold


def read(text):
    folded = fold(text).text
    return [(found.kind, found.value, found.unit, folded[found.start : found.end]) for found in amounts(folded)]


@pytest.mark.parametrize(
    ("text", "kind", "value", "unit", "quote"),
    [
        # plain numbers
        ("1,200 shoes", "number", "1200", "", "1,200"),
        ("12万", "number", "120000", "", "12万"),
        ("2w人", "number", "20000", "", "2w"),
        ("3.5k steps", "number", "3500", "", "3.5k"),
        ("2 million", "number", "2000000", "", "2 million"),
        ("twenty-five styles", "number", "25", "", "twenty-five"),
        ("one hundred and five", "number", "105", "", "one hundred and five"),
        ("half a dozen", "number", "6", "", "half a dozen"),
        ("第三", "number", "3", "", "第三"),
        ("2024年", "number", "2024", "", "2024年"),  # a calendar year
        ("1900年", "number", "1900", "", "1900年"),
        # prices
        ("$89.50", "price", "89.5", "$", "$89.50"),
        ("us$12 off", "price", "12", "$", "us$12"),
        ("12 dollars", "price", "12", "$", "12 dollars"),
        ("$5m", "price", "5000000", "$", "$5m"),
        ("9块9", "price", "9.9", "¥", "9块9"),
        ("九块九", "price", "9.9", "¥", "九块九"),
        ("1万2千元", "price", "12000", "¥", "1万2千元"),
        ("1万2000円", "price", "12000", "¥", "1万2000円"),
        ("２０元", "price", "20", "¥", "20元"),
        ("3,980円から", "price", "3980", "¥", "3,980円"),
        ("ワンコイン", "price", "500", "¥", "ワンコイン"),
        ("a fiver", "price", "5", "£", "a fiver"),
        ("a tenner", "price", "10", "£", "a tenner"),
        # shares
        ("5%", "percentage", "5", "%", "5%"),
        ("20 percent", "percentage", "20", "%", "20 percent"),
        ("百分之30", "percentage", "30", "%", "百分之30"),
        ("百分之三十", "percentage", "30", "%", "百分之三十"),
        ("八折", "percentage", "20", "%", "八折"),  # 折 is the share that is paid
        ("85折", "percentage", "15", "%", "85折"),
        ("8.8折", "percentage", "12", "%", "8.8折"),
        ("10折", "percentage", "90", "%", "10折"),
        ("三成", "percentage", "30", "%", "三成"),
        ("３割引", "percentage", "30", "%", "3割引"),
        ("half price", "percentage", "50", "%", "half price"),
        ("省一半", "percentage", "50", "%", "一半"),
        ("半額", "percentage", "50", "%", "半额"),
        ("1/2 price", "percentage", "50", "%", "1/2 price"),
        ("a quarter off", "percentage", "25", "%", "a quarter off"),
        ("a third off", "percentage", "33", "%", "a third off"),
        # quantities
        ("two-year plan", "quantity", "24", "month", "two-year"),
        ("1850年", "quantity", "22200", "month", "1850年"),
        ("半年", "quantity", "6", "month", "半年"),
        ("半斤", "quantity", "250", "g", "半斤"),
        ("半小时", "quantity", "1800", "second", "半小时"),
        ("30 days", "quantity", "2592000", "second", "30 days"),
        ("1.5kg", "quantity", "1500", "g", "1.5kg"),
        ("5m users", "quantity", "5000", "mm", "5m"),  # without a currency sign m is metres
        ("100 m", "quantity", "100000", "mm", "100 m"),
        ("double", "quantity", "2", "times", "double"),
        ("翻倍", "quantity", "2", "times", "翻倍"),
        ("half an hour", "quantity", "1800", "second", "half an hour"),
        ("an hour and a half", "quantity", "5400", "second", "an hour and a half"),
        ("a hour and a half", "quantity", "5400", "second", "a hour and a half"),
        ("2 hours and a half", "quantity", "9000", "second", "2 hours and a half"),
        ("three hours and a half", "quantity", "12600", "second", "three hours and a half"),
        ("两个半小时", "quantity", "9000", "second", "两个半小时"),
        ("半个月", "quantity", "1296000", "second", "半个月"),
        # times of day, in minutes
        ("noon", "time", "720", "clock", "noon"),
        ("midnight", "time", "0", "clock", "midnight"),
        ("half past 9", "time", "570", "clock", "half past 9"),
        ("half past two", "time", "150", "clock", "half past two"),
        ("9am", "time", "540", "clock", "9am"),
        ("9 a.m.", "time", "540", "clock", "9 a.m."),
        ("12am", "time", "0", "clock", "12am"),
        ("12 pm", "time", "720", "clock", "12 pm"),
        ("12:30", "time", "750", "clock", "12:30"),
        ("9:05 pm", "time", "1265", "clock", "9:05 pm"),
        ("24:00", "time", "0", "clock", "24:00"),
        ("上午十点", "time", "600", "clock", "上午十点"),
        ("下午3点", "time", "900", "clock", "下午3点"),
        ("午后3点", "time", "900", "clock", "午后3点"),
        ("下午3点半", "time", "930", "clock", "下午3点半"),
        ("傍晚6点", "time", "1080", "clock", "傍晚6点"),
        ("晚9点", "time", "1260", "clock", "晚9点"),
        ("晚上8点20分", "time", "1220", "clock", "晚上8点20分"),
        ("中午12点", "time", "720", "clock", "中午12点"),
        ("3时", "time", "180", "clock", "3时"),
        # multitudes
        ("dozens", "vague", "10", "", "dozens"),
        ("thousands", "vague", "1000", "", "thousands"),
        ("数千", "vague", "1000", "", "数千"),
        ("上百家", "vague", "100", "", "上百"),
        ("数亿", "vague", "100000000", "", "数亿"),
        ("十余家", "vague", "10", "", "十余"),
        ("成千上万", "vague", "10000000", "", "成千上万"),
    ],
)
def test_an_amount_has_its_value_in_the_base_unit(text, kind, value, unit, quote):
    assert read(text) == [(kind, value, unit, quote)]


@pytest.mark.parametrize(
    ("text", "values", "unit"),
    [
        ("8 to 14 miles", ["8", "14"], "mile"),
        ("10-20%", ["10", "20"], "%"),
        ("3至5年", ["36", "60"], "month"),
        ("$8 to $14", ["8", "14"], "$"),
        ("3 or 4 days", ["259200", "345600"], "second"),
        ("2 to 3 km", ["2000000", "3000000"], "mm"),
        ("5 and 6", ["5", "6"], ""),  # no range
        ("9 to 5", ["9", "5"], ""),
    ],
)
def test_the_first_number_of_a_range_takes_the_unit_of_the_second(text, values, unit):
    found = read(text)
    assert [value for _, value, _, _ in found] == values
    assert {of for _, _, of, _ in found} == {unit}


def test_a_number_beside_an_amount_keeps_to_itself():
    assert [found[:3] for found in read("3, 5 km")] == [("number", "3", ""), ("quantity", "5000000", "mm")]


@pytest.mark.parametrize("text", ["半", "打对折", "wide shoes", "跑鞋", "靴"])
def test_what_counts_nothing_is_no_amount(text):
    assert read(text) == []


@pytest.mark.parametrize(
    ("text", "written", "word", "off"),
    [
        ("九块九", "九", "块", False),
        ("八折", "八", "折", True),
        ("3割引", "3", "割引", True),
        ("三成", "三", "成", False),
        ("半年", "半", "年", False),
        ("2024年", "2024", "年", False),
        ("us$12", "12", "us$", False),
        ("half price", "half price", "half price", True),
        ("省一半", "一半", "一半", True),
        ("a quarter off", "a quarter off", "a quarter off", True),
        ("half an hour", "half an hour", "half an hour", False),
        ("下午3点半", "3", "点半", False),
        ("9am", "9", ":", False),
        ("noon", "noon", ":", False),
        ("a fiver", "fiver", "", False),
        ("thousands", "thousands", "", False),
        ("double", "double", "double", False),
    ],
)
def test_an_amount_keeps_its_words_as_they_were_written(text, written, word, off):
    (found,) = amounts(fold(text).text)
    assert (found.written, found.word, found.off) == (written, word, off)


@pytest.mark.parametrize(("text", "first", "second"), [("2至3割引", "20", "30"), ("7至8折", "30", "20")])
def test_a_range_of_discounts_is_two_shares_of_the_price(text, first, second):
    found = amounts(fold(text).text)
    assert [(share.kind, share.value, share.unit, share.off) for share in found] == [
        ("percentage", first, "%", True),
        ("percentage", second, "%", True),
    ]
