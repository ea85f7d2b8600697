"""Numbers as claims: digits, Chinese numerals and English number words → value, unit, place.

Compared by value: 1,000 = 1000 = １０００; 50 % = fifty percent = 百分之五十 = 五折 (half off); 3万元 = ¥30,000; 30-day = 30 days =
30天.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from string import ascii_lowercase, digits
from typing import Literal, NamedTuple

from adtext.fold import fold


class Amount(NamedTuple):
    """A number as a claim. `value` is a plain decimal; `unit` a currency, a unit of measure, or empty."""

    kind: Literal["number", "percentage", "price", "quantity"]
    value: str
    unit: str
    start: int  # in the folded text
    end: int


_CURRENCIES = {
    "$": "us$ usd $ dollars dollar 美元 ドル",
    "€": "€ eur euros euro 欧元 ユーロ",
    "£": "£ gbp 英镑",
    "¥": "¥ cny rmb jpy yuan yen 元 块钱 块 人民币 日元 円",  # one sign for two currencies: the locale tells them apart
    "₩": "₩ krw won 韩元 ウォン",
    "hk$": "hk$ hkd 港币 港元",
    "nt$": "nt$ twd 新台币 台币",
}
_UNITS = {
    "second": "seconds second secs sec 秒",
    "minute": "minutes minute mins min 分钟 分",
    "hour": "hours hour hrs hr h 小时 时间",  # 时间 is 時間, folded
    "day": "days day 天 日间 日",
    "week": "weeks week 周间 周 星期",
    "month": "months month 个月 ヶ月 か月 ケ月",
    "year": "years year yrs yr 年间 年",
    "kg": "kgs kg 公斤 千克 キロ",
    "g": "g grams gram 克",
    "lb": "lbs lb pounds pound",
    "oz": "oz ounces ounce",
    "km": "kms km 公里",
    "m": "m metres meters 米",
    "cm": "cm 厘米",
    "mm": "mm 毫米",
    "mile": "miles mile 英里",
    "inch": "inches inch 英寸",
    "m2": "m2 sqm 平方米 平米 平",
    "l": "litres liters l 升",
    "ml": "ml 毫升",
    "mb": "mb",
    "gb": "gb",
    "tb": "tb",
    "kw": "kw",
    "kwh": "kwh",
    "mah": "mah 毫安",
}
_PERCENT = ("%", "percent", "per cent", "个百分点", "パーセント")
_SCALES = {"k": 1000, "thousand": 1000, "million": 10**6, "billion": 10**9, "千": 1000, "万": 10**4, "亿": 10**8}
_ENGLISH = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
}
_ENGLISH |= {
    "twelve": 12,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
}
_ENGLISH |= {"ninety": 90, "hundred": 100, "thousand": 1000}
_HAN_DIGITS = {char: value for value, char in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2}
_HAN_SCALES = {"十": 10, "百": 100, "千": 1000}

# Names of kinds of things: their digits count nothing.
_NAMES = frozenset(
    [
        "2d",
        "3d",
        "4d",
        "4k",
        "8k",
        "4g",
        "5g",
        "b2b",
        "b2c",
        "mp3",
        "mp4",
        "h5",
        "a3",
        "a4",
        "a5",
        "1v1",
        "4x4",
        "4wd",
        "o2o",
    ]
)

_CURRENCY_OF = {word: sign for sign, words in _CURRENCIES.items() for word in words.split()}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words.split()}


def _any_of(words: Iterable[str]) -> str:
    """Alternatives, longest first; a Latin word must end where its letters end."""
    ordered = sorted((fold(word).text for word in words), key=len, reverse=True)
    return "|".join(re.escape(word) + (r"(?![a-z])" if word[-1] in ascii_lowercase else "") for word in ordered)


_SCALE_AND_UNIT = rf"(?:[ -]?(?P<scale>{_any_of(_SCALES)}))?(?:[ -]?(?P<unit>{_any_of([*_UNIT_OF, *_CURRENCY_OF, *_PERCENT, '折'])}))?"
# What may stand before the digits. Matched backwards from them: a pattern that begins with digits is many times faster
# to search for.
_BEFORE = re.compile(
    rf"(?:(?P<percent>百分之)|(?:(?P<sign>{_any_of(_CURRENCIES)}|(?<![a-z])(?:usd|eur|gbp|cny|rmb|jpy|hkd|twd)) ?))$"
)
_LONGEST_BEFORE = 5  # characters
_HAN = "".join([*_HAN_DIGITS, *_HAN_SCALES])
_IN_DIGITS = re.compile(rf"(?P<value>[0-9]{{1,3}}(?:,[0-9]{{3}})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?){_SCALE_AND_UNIT}")
_IN_HAN = re.compile(rf"(?P<nth>第)?(?P<percent>百分之)?(?P<value>[{_HAN}]+){_SCALE_AND_UNIT}(?!级|岁)")
_IN_ENGLISH = re.compile(rf"\b(?P<value>(?:{'|'.join(_ENGLISH)})(?:[ -](?:{'|'.join(_ENGLISH)}))*)\b{_SCALE_AND_UNIT}")
_ANY_DIGIT = re.compile("[0-9]")
_ANY_HAN = re.compile(f"[{_HAN}]")


def amounts(folded: str, *, every: bool) -> Iterator[Amount]:
    """The amounts of a folded text. `every`: also number words that count nothing (一 in 一起), which a text may use
    freely.
    """
    if _ANY_DIGIT.search(folded):
        for match in _IN_DIGITS.finditer(folded):
            if every or _token_around(folded, *match.span("value")) not in _NAMES:
                before = _BEFORE.search(folded, max(match.start() - _LONGEST_BEFORE, 0), match.start())
                yield _amount(match, Decimal(match["value"].replace(",", "")), before)
    if _ANY_HAN.search(folded):
        for match in _IN_HAN.finditer(folded):
            amount = _amount(match, _from_han(match["value"]), match)
            if every or (match["nth"] is None and not _is_idiom(match["value"], match["unit"], amount)):
                yield amount
    for match in _IN_ENGLISH.finditer(folded):
        if every or (match["unit"] and match["value"] != "one"):
            yield _amount(match, _from_english(match["value"]), None)


def _amount(match: re.Match[str], value: Decimal, before: re.Match[str] | None) -> Amount:
    unit = match["unit"] or ""
    scaled = value * _SCALES.get(match["scale"] or "", 1)
    start, end = min(match.start(), before.start() if before else match.start()), match.end()
    ahead = before.groupdict() if before else {}
    if unit in _PERCENT or ahead.get("percent"):
        return Amount("percentage", _plain(scaled), "", start, end)
    if unit == "折":  # 8折 and 八五折 say what is still paid: 20 % and 15 % off
        return Amount("percentage", _plain(100 - (scaled * 10 if scaled < 10 else scaled)), "", start, end)
    if currency := ahead.get("sign") or (unit if unit in _CURRENCY_OF else None):
        return Amount("price", _plain(scaled), _CURRENCY_OF[currency], start, end)
    return Amount("quantity" if unit else "number", _plain(scaled), _UNIT_OF.get(unit, ""), start, end)


def _is_idiom(written: str, unit: str | None, amount: Amount) -> bool:
    """一天, 百年, 千元, 十分: number characters that count nothing, or nothing in particular."""
    if amount.kind == "percentage":
        return False
    whole = amount.value == "1" and amount.unit not in {"minute", "hour", "month"}
    return not unit or unit in {"分", "日"} or whole or set(written) <= {"百", "千"}


def _token_around(folded: str, start: int, end: int) -> str:
    while start and folded[start - 1] in _TOKEN:
        start -= 1
    while end < len(folded) and folded[end] in _TOKEN:
        end += 1
    return folded[start:end]


_TOKEN = frozenset(ascii_lowercase + digits)


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _from_english(words: str) -> Decimal:
    total = 0
    for word in re.split("[ -]", words):
        value = _ENGLISH[word]
        total = max(total, 1) * value if value >= 100 else total + value
    return Decimal(total)


def _from_han(written: str) -> Decimal:
    """八五 → 85 (digit by digit), 三百五十 → 350."""
    if not any(char in _HAN_SCALES for char in written):
        return Decimal("".join(str(_HAN_DIGITS[char]) for char in written))
    total, pending = 0, 0
    for char in written:
        if char in _HAN_SCALES:
            total, pending = total + max(pending, 1) * _HAN_SCALES[char], 0
        else:
            pending = _HAN_DIGITS[char]
    return Decimal(total + pending)
