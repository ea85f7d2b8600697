"""Number words → values: English, Chinese and Japanese. 三百五十 → 350, 一万二 → 12,000, two hundred fifty → 250."""

from __future__ import annotations

import re
from decimal import Decimal

from adtext.words import each

_SMALL = each(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = each("twenty thirty forty fifty sixty seventy eighty ninety")
ENGLISH = (
    {word: value for value, word in enumerate(_SMALL)}
    | {word: 10 * value for value, word in enumerate(_TENS, start=2)}
    | {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
)
_ORDINALS = each(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth"
)
ORDINALS = {word: value for value, word in enumerate(_ORDINALS, start=1)}
HAN_DIGITS = {char: value for value, char in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2}
_HAN_SCALES = {"十": 10, "百": 100, "千": 1000}
_HAN_MYRIADS = {"万": 10**4, "亿": 10**8}
HAN = "".join([*HAN_DIGITS, *_HAN_SCALES, *_HAN_MYRIADS])
SCALES = {"k": 10**3, "w": 10**4, "m": 10**6, "thousand": 10**3, "grand": 10**3, "million": 10**6, "billion": 10**9}
SCALES |= {"千": 10**3, "万": 10**4, "百万": 10**6, "千万": 10**7, "亿": 10**8, "百": 100}


def from_english(words: str) -> Decimal:
    """two hundred fifty, fifty-five, two dozen, twenty first."""
    total = current = 0
    for word in re.split(r"[ -]+(?:and[ -]+)?", words):
        value = ENGLISH[word] if word in ENGLISH else ORDINALS[word]
        if word in {"thousand", "million", "billion"}:
            total, current = total + max(current, 1) * value, 0
        elif word in {"hundred", "dozen"}:
            current = max(current, 1) * value
        else:
            current += value
    return Decimal(total + current)


def from_han(written: str) -> Decimal:
    """八五 → 85 (digit by digit), 三百五十 → 350, 一万二千 and 一万二 → 12,000, 七点二 → 7.2."""
    written, _, decimals = written.partition("点")
    if decimals:
        return from_han(written) + Decimal("0." + "".join(str(HAN_DIGITS.get(char, 0)) for char in decimals))
    if not any(char in _HAN_SCALES or char in _HAN_MYRIADS for char in written):
        return Decimal("".join(str(HAN_DIGITS[char]) for char in written))
    total = section = pending = 0
    scale = 1  # scale of the character before: 一万二 means two thousand, 三百五 fifty
    for char in written:
        if char in _HAN_MYRIADS:
            total, section, pending = (total + max(section + pending, 1)) * _HAN_MYRIADS[char], 0, 0
            scale = _HAN_MYRIADS[char]
        elif char in _HAN_SCALES:
            section, pending = section + max(pending, 1) * _HAN_SCALES[char], 0
            scale = _HAN_SCALES[char]
        else:
            pending = HAN_DIGITS[char]
            if char in "零〇":
                scale = 1
    follows_a_scale = len(written) > 1 and (written[-2] in _HAN_SCALES or written[-2] in _HAN_MYRIADS)
    if pending and follows_a_scale and scale > 10:
        pending *= scale // 10
    return Decimal(total + section + pending)
