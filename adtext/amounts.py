"""Amounts of a text: digits, number words and vague multitudes → value × unit family, and where they stand.

Amounts are compared by value in the family's base unit: 1,000 = 1000 = １０００ = 1k; 50 % = fifty percent = half price
= 五折; 3万元 = ¥30,000; 12 months = 一年; 9:00 = 9 am = 上午九点.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import zip_longest
from string import ascii_lowercase
from typing import Literal, NamedTuple

from adtext import numerals
from adtext.fold import fold
from adtext.units import CURRENCIES, PAID_SHARE, SIGNS, TAKEN_SHARES, UNITS

Kind = Literal["number", "percentage", "price", "quantity", "time", "vague"]


class Amount(NamedTuple):
    """A number as a claim, in its unit family's base unit."""

    kind: Kind
    value: str  # plain decimal; of a time of day, the minutes since midnight
    unit: str  # the family's base unit; empty for a plain number
    start: int  # in the folded text
    end: int
    written: str  # the value as written: digits, 三百, twenty
    word: str = ""  # the unit as written
    off: bool = False  # a share that is taken off the price

    @property
    def key(self) -> tuple[str, str]:
        return self.unit, self.value


def _any_of(words: Iterable[str]) -> str:
    """Alternatives, longest first; a Latin word must end where its letters end."""
    ordered = sorted({fold(word).text for word in words}, key=len, reverse=True)
    return "|".join(re.escape(word).replace(r"\ ", "[ -]") + _after(word) for word in ordered)


def _after(word: str) -> str:
    """What may not follow a unit: more letters after a word, digits after a sign, -hand after second."""
    if word[-1] in ascii_lowercase:
        return r"(?![a-z]|[ -]hand)" if word == "second" else "(?![a-z])"
    return "" if word[-1].isalpha() else "(?![0-9])"


# units of one or two letters stand close to their digits: 5 in stock is no length
_CLOSE = frozenset(word for word in UNITS if len(word) < 3 and word.isascii() and word.isalpha()) - {
    "kg", "mg", "cm", "mm", "km", "ml", "mb", "gb", "tb", "kw", "oz", "lb", "ft", "yd", "mi", "hr", "yr", "mo", "m2",
    "g", "l", "h", "v", "m",
}  # fmt: skip
_LOOSE = _any_of([word for word in [*UNITS, *TAKEN_SHARES] if word not in _CLOSE and word not in ("x", "×")])
_UNIT = rf"(?:[ -]?(?P<unit>{_LOOSE}|{PAID_SHARE})|(?P<close>(?:{_any_of(_CLOSE)}|[x×])(?![0-9])))?"
_SCALE = (
    rf"(?:[ -]?(?P<scale>{_any_of(word for word in numerals.SCALES if len(word) > 1 or word > 'z')})"
    r"|(?P<letter>k(?![a-z])|w(?=[\u4e00-\u9fff])|m(?![a-z0-9])))?"
)
_DIGITS = (
    r"[0-9]+万[0-9]{1,4}(?:千|(?=[元円]))|[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]{1,3}(?: 000)+(?![0-9])"
    r"|[0-9]+(?:\.[0-9]+)?"
)
_IN_DIGITS = re.compile(
    rf"(?P<value>{_DIGITS})(?P<nth>(?:st|nd|rd|th)\b)?{_SCALE}{_UNIT}(?:(?<=[块米])(?P<rest>[0-9]{{1,2}})(?![0-9]))?"
)
_IN_HAN = re.compile(
    rf"(?P<nth>第)?(?P<percent>百分之)?(?P<half>半)?"
    rf"(?P<value>(?(half)|[{numerals.HAN}]+(?:点[{numerals.HAN}]+(?![{numerals.HAN}钟半]))?))"
    rf"(?:[ -]?(?P<unit>{_any_of(word for word in [*UNITS, *TAKEN_SHARES] if not word.isascii())}|{PAID_SHARE}|%))?"
    rf"(?:(?<=块)(?P<rest>[{numerals.HAN}])(?![{numerals.HAN}]))?"
)
_NUMBER_WORD = "|".join(sorted(numerals.ENGLISH, key=len, reverse=True))
_ORDINAL = "|".join(numerals.ORDINALS)
_IN_ENGLISH = re.compile(
    rf"\b(?P<value>(?:{_NUMBER_WORD})(?:[ -](?:and[ -])?(?:{_NUMBER_WORD}))*(?:-(?:{_ORDINAL}))?)\b"
    rf"(?:[ -](?P<unit>{_any_of(word for word in UNITS if len(word) > 2)}))?"
)
# What may stand before the digits. Matched backwards from them: a pattern that begins with digits is many times faster
# to search for.
_SIGN = "|".join((r"(?<![a-z])" if sign[0].isalpha() else "") + re.escape(sign) for sign in SIGNS)
_BEFORE = re.compile(rf"(?:(?P<percent>百分之)|(?:(?P<sign>{_SIGN}) ?))$")
_LONGEST_BEFORE = 5  # characters
_CLOCK = re.compile(
    r"(?P<part>上午|早上|早|凌晨|午前|下午|午后|晚上|晚|中午|傍晚)?"
    rf"(?P<hour>(?<![0-9.,:])[0-9]{{1,2}}|(?<![{numerals.HAN}])[一二三四五六七八九十]{{1,3}})"
    r"(?::(?P<minute>[0-5][0-9])(?![0-9:])|(?P<sign>[点时](?!间|尚|节|长)(?P<half>半|[0-9]{1,2}分)?))?"
    r"(?: ?(?P<half_day>[ap])\.?m\.?(?![a-z]))?"
)
_NOON = re.compile(r"\b(?:noon|midday|midnight)\b|正午")
_HALF_PAST = re.compile(
    r"\bhalf past (?P<hour>[0-9]{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b"
)
_HALVES = re.compile(r"\bhalf[ -](?:the )?(?:price|off|cost)\b|半价|半额|(?<=[省减惠宜])一半|半値")
_MULTIPLES = {
    "double": 2,
    "doubled": 2,
    "doubles": 2,
    "twice": 2,
    "triple": 3,
    "thrice": 3,
    "treble": 3,
    "quadruple": 4,
}
_MULTIPLES |= {"翻倍": 2, "双倍": 2, "加倍": 2, "翻番": 2, "倍增": 2, "二倍": 2}
_MULTIPLE = re.compile("|".join(rf"\b{word}\b" if word.isascii() else word for word in _MULTIPLES))
_HALF_OR_MULTIPLE = re.compile(
    r"ワンコイン|half|quarter|third|fifth|century|an hour|fortnight|1[/⁄]2|半|一半|double|twice|triple|thrice|treble"
    r"|quadruple|倍|翻番"
)
_CROWD = re.compile(
    r"\b(?P<en>dozens|hundreds|thousands|millions|billions)\b|\ba (?P<note>fiver|tenner)\b"
    r"|(?P<han>成千上万|(?:数|几|上|成|近|超|逾|过|何|好几)[十百千万亿]+(?:[余多]|以上)?|[十百千万亿]{1,2}(?:余|多)(?=[\u4e00-\u9fff])|[百千万]+(?=[名位人家款种户店城](?!们|生|工|才)))"
)
_CROWD_SIGN = re.compile(r"dozens|reds|ands|ions|er\b|[十百千万亿]")
_CROWDS = {"dozens": 10, "hundreds": 100, "thousands": 1000, "millions": 10**6, "billions": 10**9}
_ANY_DIGIT = re.compile("[0-9]")
_ANY_HAN = re.compile(f"[{numerals.HAN}半]")
_RANGE_GAP = re.compile(r" ?(?:-|–|—|~|〜|至|到|to|and|から|or) ?(?:us\$|[$€£¥])?")


def amounts(folded: str) -> list[Amount]:
    """The amounts of a folded text in reading order, number words that count nothing (一 in 一起) among them."""
    found = [*_halves_and_multiples(folded), *_crowds(folded)]
    if _ANY_DIGIT.search(folded):
        found += _digits(folded)
    if _ANY_HAN.search(folded):
        found += _han(folded)
    found += (
        _amount(match, numerals.from_english(match["value"]), match["unit"] or "", None)
        for match in _IN_ENGLISH.finditer(folded)
    )
    found += _times_of_day(folded)
    found += _ordinals_and_eras(folded)
    return list(_without_nested(_share_units(sorted(found, key=lambda amount: (amount.start, -amount.end)), folded)))


def _digits(folded: str) -> Iterator[Amount]:
    for match in _IN_DIGITS.finditer(folded):
        before = _BEFORE.search(folded, max(match.start() - _LONGEST_BEFORE, 0), match.start())
        value = _digits_value(match["value"])
        if match["scale"]:
            value *= numerals.SCALES[match["scale"]]
        letter = match["letter"]
        if letter and (letter != "m" or before):
            value *= numerals.SCALES[letter]
        word = match["unit"] or match["close"] or ("m" if letter == "m" and not before else "")
        yield _amount(match, value, word, before)


def _digits_value(written: str) -> Decimal:
    """1,200 and 1万2千."""
    myriads, mark, rest = written.partition("万")
    if not mark:
        return Decimal(written.replace(",", "").replace(" ", ""))
    return Decimal(myriads) * 10_000 + (Decimal(rest[:-1]) * 1000 if rest.endswith("千") else Decimal(rest))


def _han(folded: str) -> Iterator[Amount]:
    for match in _IN_HAN.finditer(folded):
        if match["half"]:
            if match["unit"] in ("年", "小时", "个月", "斤", "时间"):
                yield _amount(match, Decimal("0.5"), match["unit"], None)
        elif match["value"]:
            yield _amount(match, numerals.from_han(match["value"]), match["unit"] or "", None)


def _amount(match: re.Match[str], value: Decimal, word: str, before: re.Match[str] | None) -> Amount:
    found, ahead = match.groupdict(), before.groupdict() if before else {}
    start, end = before.start() if before else match.start(), match.end()
    written = match["value"] or "半"
    if rest := found.get("rest"):  # 9块9, 1米75
        value += Decimal(numerals.HAN_DIGITS.get(rest, rest)) / 10 ** len(rest)
    word = word.replace("-", " ")
    if word in ("year", "years") and _AN_AGE.match(match.string, end):  # three years and older
        word = "years old"
    if ahead.get("percent") or found.get("percent"):
        return Amount("percentage", _plain(value), "%", start, end, written)
    if word == PAID_SHARE or word in TAKEN_SHARES:
        return Amount("percentage", _plain(_in_base(value, word)), "%", start, end, written, word, off=True)
    if sign := ahead.get("sign"):
        return Amount("price", _plain(value), UNITS[sign].base, start, end, written, sign)
    if not word:
        return Amount("number", _plain(value), "", start, end, written)
    unit = UNITS[word]
    if unit.base == "month" and word.startswith("年") and value >= 1900:  # a calendar year
        return Amount("number", _plain(value), "", start, end, written, word)
    kind: Kind = "percentage" if unit.base == "%" else "price" if unit.base in CURRENCIES else "quantity"
    return Amount(kind, _plain(_in_base(value, word)), unit.base, start, end, written, word)


_AN_AGE = re.compile(r" (?:and|or) (?:older|over|up|above|under|younger)\b|\+")


def _in_base(value: Decimal, word: str) -> Decimal:
    """The value in the base unit of `word`; 8折 and 85折 are what is paid, 2割引 is a fifth off."""
    if word == PAID_SHARE:
        return 100 - (value * 10 if value < 10 else value)
    if word in TAKEN_SHARES:
        return value * 10
    return value * UNITS[word].size if word in UNITS else value


def _halves_and_multiples(folded: str) -> Iterator[Amount]:
    if _HALF_OR_MULTIPLE.search(folded) is None:
        return
    for match in _HALVES.finditer(folded):
        yield Amount("percentage", "50", "%", *match.span(), match.group(), match.group(), off=True)
    for match in _MULTIPLE.finditer(folded):
        yield Amount("quantity", str(_MULTIPLES[match.group()]), "times", *match.span(), match.group(), match.group())
    for pattern, kind, value, unit in _SET_PHRASES:
        for match in pattern.finditer(folded):
            more = match.groupdict().get("whole")
            total = Decimal(value) if more is None else Decimal(value) * (2 * _whole(more) + 1)
            yield Amount(kind, _plain(total), unit, *match.span(), match.group(), match.group(), off=unit == "%")


def _whole(written: str) -> Decimal:
    if written in ("a", "an"):
        return Decimal(1)
    if written.isascii():
        return Decimal(written) if written.isdecimal() else Decimal(numerals.ENGLISH[written])
    return numerals.from_han(written)


# one value for what people say in words; `whole` counts whole units before a half
_PHRASES: tuple[tuple[str, Kind, str, str], ...] = (
    (r"\bhalf (?:an|a)[ -]hour\b|\bhalf-hour\b", "quantity", "1800", "second"),
    (r"\b(?P<whole>an?|one|two|three|[0-9]+) hours? and a half\b", "quantity", "1800", "second"),
    (r"\bquarter of an hour\b", "quantity", "900", "second"),
    (r"\bhalf a dozen\b", "number", "6", ""),
    (r"\ba fortnight\b|\bfortnightly\b", "quantity", "1209600", "second"),
    (r"(?P<whole>[0-9]+|[一二两三四五六七八九])个半(?:小时|钟头)", "quantity", "1800", "second"),
    (r"半个月", "quantity", "1296000", "second"),
    (r"(?P<whole>[0-9]+|[一二两三四五六七八九])时间半", "quantity", "1800", "second"),
    (r"(?<![0-9])1[/⁄]2 (?:price|off)", "percentage", "50", "%"),
    (r"ワンコイン", "price", "500", "¥"),
    (r"\b(?:a|one) quarter off\b|\bsave a quarter\b", "percentage", "25", "%"),
    (r"\b(?:a|one) third off\b|\bsave a third\b", "percentage", "33", "%"),
    (r"\b(?:a|one) fifth off\b|\bsave a fifth\b", "percentage", "20", "%"),
    (r"\bthree quarters of an hour\b|\bthree-quarters of an hour\b", "quantity", "2700", "second"),
    (r"\b(?:within|in|under) an hour\b", "quantity", "3600", "second"),
    (r"\ba century of\b", "quantity", "1200", "month"),
)
_SET_PHRASES = [(re.compile(pattern), kind, value, unit) for pattern, kind, value, unit in _PHRASES]


def _crowds(folded: str) -> Iterator[Amount]:
    """Multitudes without a number: thousands, 数千, 上百. Their value is the power of ten."""
    if _CROWD_SIGN.search(folded) is None:
        return
    for match in _CROWD.finditer(folded):
        if match["note"]:
            yield Amount("price", "5" if match["note"] == "fiver" else "10", "£", *match.span(), match["note"])
            continue
        value = Decimal(_CROWDS[match["en"]]) if match["en"] else _power(match["han"])
        yield Amount("vague", _plain(value), "", *match.span(), match.group())


def _power(written: str) -> Decimal:
    value = Decimal(1)
    for char in written:
        value *= {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}.get(char, 1)
    return value


def _times_of_day(folded: str) -> Iterator[Amount]:
    if not re.search(r":[0-5][0-9]|[0-9] ?[ap]\.?m|[点时]|half past|noon|midnight|midday|正午", folded):
        return
    for match in _NOON.finditer(folded):
        yield Amount("time", "0" if match.group() == "midnight" else "720", "clock", *match.span(), match.group(), ":")
    for match in _HALF_PAST.finditer(folded):
        hour = numerals.ENGLISH.get(match["hour"]) or int(match["hour"])
        yield Amount("time", str(hour * 60 + 30), "clock", *match.span(), match["hour"], ":")
    for match in _CLOCK.finditer(folded):
        if not (match["minute"] or match["half_day"] or (match["sign"] == "点" and match["part"]) or match["sign"]):
            continue
        hour = (
            int(numerals.from_han(match["hour"]))
            if match["hour"] > "9" and not match["hour"].isascii()
            else int(match["hour"])
        )
        half = match["half"] or ""
        minute = int(match["minute"] or (30 if half == "半" else half.rstrip("分") or 0))
        part = match["part"] or ""
        if hour == 12 and match["half_day"] == "a":
            hour = 0
        if hour < 12 and (match["half_day"] == "p" or part in ("下午", "午后", "晚上", "晚", "傍晚")):
            hour += 12
        yield Amount("time", str(hour % 24 * 60 + minute), "clock", *match.span(), match["hour"], match["sign"] or ":")


_ORDINAL_WORD = re.compile(rf"\b(?:{'|'.join(word for word, value in numerals.ORDINALS.items() if value > 2)})\b")
_ERA = re.compile(r"(?P<era>明治|大正|昭和|平成|令和)(?P<year>[0-9]{1,2}|元)年")
_ERAS = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018}


def _ordinals_and_eras(folded: str) -> Iterator[Amount]:
    """Third floor is the 3rd floor, 昭和28年 is 1953."""
    for match in _ORDINAL_WORD.finditer(folded):
        yield Amount("number", str(numerals.ORDINALS[match.group()]), "", *match.span(), match.group())
    for match in _ERA.finditer(folded):
        year = 1 if match["year"] == "元" else int(match["year"])
        yield Amount("number", str(_ERAS[match["era"]] + year), "", *match.span(), match["year"], "年")


def _share_units(found: list[Amount], folded: str) -> Iterator[Amount]:
    """8 to 14 miles: the first number takes the unit of the second."""
    for amount, follower in zip_longest(found, found[1:]):
        if (
            follower is not None
            and amount.kind == "number"
            and follower.kind in ("quantity", "percentage", "price")
            and _RANGE_GAP.fullmatch(folded, amount.end, max(follower.start, amount.end))
        ):
            yield amount._replace(
                kind=follower.kind,
                value=_plain(_in_base(Decimal(amount.value), follower.word)),
                unit=follower.unit,
                word=follower.word,
                off=follower.off,
            )
        else:
            yield amount


def _without_nested(found: Iterable[Amount]) -> Iterator[Amount]:
    """Of amounts inside others, the outer one: 9 am holds 9."""
    furthest = -1
    for amount in found:
        if amount.end > furthest:
            furthest = amount.end
            yield amount


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
