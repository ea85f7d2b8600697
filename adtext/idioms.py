"""Numbers that count nothing: 四周收口, 五颜六色, 一起, 三角屋根, double bed. A text may use them freely."""

from __future__ import annotations

import re
from string import ascii_lowercase, digits

from adtext import numerals
from adtext.amounts import Amount
from adtext.context import context
from adtext.words import Word, Words, each

# Names of kinds of things: their digits count nothing.
_NAMES = frozenset(
    each(
        "2d 3d 4d 4k 8k 2k 1080p 4g 5g 6g b2b b2c c2c o2o mp3 mp4 h5 h264 a3 a4 a5 b5 1v1 1on1 4x4 4wd 2wd "
        "k12 r18 co2 q10 h2o y2k b12 b6 d3 k2 omega3 web3 e2e p2p i18n usb3 wifi6 100m 360"
    )
)
_COUNTER = re.compile(
    r"[款种家位名项重座层所颗场节次台双味色间室道城国店届代楼口成倍条枚张封枝朵]|个(?!性|人|体)|大(?!小|型|号|人|于|致|家|片|杯)"
    r"|(?:人|名|社|店舗|種類|种类|色|回|本|枚|件|校|冊|品|席|棟|か所|箇所|カ国)"
)
# what stands behind a small number in the name of a product: 两人餐, 四房, 五分裤, 三脚架, 三件套
_PRODUCT = re.compile(
    r"[人口](?:餐|桌|份|座|床|间|房|行|家|位|套|锅|帐|沙发|乘|用)|[房室厅卫门轮脚角季分面边方孔头缸](?!钟)|件套|合一|层(?:架|柜|床)"
    r"|月(?:[一-九]|的|新|见|花|樱)"
)
_COUNTED_ONCE = frozenset(
    ("元", "块钱", "円", "分钟", "小时", "个小时", "个月", "时间", "秒", "か月", "ヶ月", "カ月", "分间", "日间")
)
_GUARANTEED = re.compile(r"质保|保修|联保|延保|换新|无理由|内|見效|见效")
_RECENT = re.compile(r"(?:近|这|前|过去|最近|头|那|ここ)$")
_ENGLISH_IDIOM = re.compile(
    r" (?:seasons?|corners?|walks?|senses?|continents?|winds|legs|wheels?|letter words|thirty|eyes|hands|feet|ears"
    r"|sides?|ways?)\b"
    r"|-(?:wheel|season|way|sided?|course|star dining)"
)
_KINDS = re.compile(
    r"[ -](?:beds?|bedded|rooms?|bedrooms?|glaz\w+|breasted|sided|check\w*|cream|deckers?|doors?|strollers?|espressos?"
    r"|vision|agents?|sinks?|ovens?|bass|sharps?|click|jump|distilled|layer(?:ed)?|knit|wall(?:ed)?"
    r"|buggy|pram|duvets?|mattress\w*|occupancy|bill|dutch|take|act|edged?)"
)
PLURAL = re.compile(r"[ -](?:[a-z]+[ -])?[a-z]{2,}[^s\W]s\b")
_PRICED = re.compile(r"(?:每[晚天月年次夜]|只要|仅需?|低至|薪|价|售|月入)$")
_QUICK = re.compile(r"(?:钟)?(?:速|快|就|开|懂|上手|学会|收纳|折叠|入睡|变)")
_WEEK_AROUND = re.compile(r"(?:内|后|课|训|计|见效|保|免|为|以上|以内|试|起|时间|左右|的课)")


def is_claim(amount: Amount, folded: str, words: Words) -> bool:
    """True where the number says something that has to be true."""
    first = amount.written[0]
    if amount.kind == "time" and first not in digits:
        return first not in ascii_lowercase  # at noon
    if _PRICED_FOR.search(folded, max(amount.start - 2, 0), amount.start) and amount.written in ("一", "1"):
        return False  # 22元一小时
    if _PRICE.match(folded, amount.end) and amount.written in ("一", "1") and amount.unit in ("second", "month"):
        return False  # 1時間1,200円
    if first in digits:
        return amount.kind != "number" or _token_around(folded, amount.start, amount.end) not in _NAMES
    if amount.kind == "vague" or amount.word in ("折", "割引"):
        return amount.kind != "vague" or not _is_a_saying(amount, words)
    if first in ascii_lowercase:
        return _english(amount, folded)
    return _east_asian(amount, folded, words)


_PRICED_FOR = re.compile(r"[元円块]/?$")
_PRICE = re.compile(r"[0-9][0-9,.]*(?:円|元)")


def _english(amount: Amount, folded: str) -> bool:
    behind = folded[amount.end : amount.end + 24]
    if amount.unit == "times":
        frequency = _FREQUENCY.match(behind) is not None
        return not frequency and _KINDS.match(behind) is None and (amount.word != "twice" or behind.startswith(" as"))
    if amount.written in numerals.ORDINALS:
        return False
    if amount.kind != "number":
        return amount.written not in ("one", "a", "zero") and not re.match(r"[ -]old\b", behind)
    if amount.value in ("0", "1", "2") or _ENGLISH_IDIOM.match(behind):
        return False
    if len(amount.value) > 1:
        return PLURAL.match(behind) is not None or "-" in amount.written or len(amount.value) > 2
    return bool(context(folded, amount).kinds)


_FREQUENCY = re.compile(r" (?:an?|per|daily|each|every|weekly|monthly|yearly)\b")


def _east_asian(amount: Amount, folded: str, words: Words) -> bool:
    start, end = amount.start, amount.end
    if folded[start - 1 : start] == "第" or amount.written.startswith("第"):
        return False
    if amount.unit == "times" or amount.kind == "percentage":
        return True
    if amount.written in _WEEKDAYS and _WEEKDAY.search(folded[max(start - 4, 0) : start]):
        return False
    if amount.written == "半":
        return folded[end : end + 1] not in ("来", "前")
    if _is_a_saying(amount, words):
        return False
    behind, before = folded[end : end + 6], folded[max(start - 3, 0) : start]
    if amount.written in ("零", "〇"):
        return bool(behind) and behind[0] > "\u3400" and not words.kind(words.at(end)).startswith(("v", "u", "p"))
    value = float(amount.value)
    if amount.kind == "number":
        if set(amount.written) <= set("百千万亿"):
            return False
        if len(amount.written) > 1 and value >= 20 and _PRICED.search(before):  # 每晚两百八
            return True
        named = value < 10 and _PRODUCT.match(behind) is not None
        return value >= 3 and not named and _COUNTER.match(behind) is not None
    if amount.unit == "age":
        return False
    small = amount.written in ("一", "两", "二", "三", "几")
    if _RECENT.search(before) or (small and _QUICK.match(behind)):
        return False
    if amount.word in ("分", "日", "两", "寸", "平", "升", "块", "角", "毛", "圆"):
        return _is_unit(amount, behind, words)
    if amount.written == "一":
        return amount.word in _COUNTED_ONCE or (
            amount.word in ("年", "周", "天") and _GUARANTEED.match(behind) is not None
        )
    if amount.word == "周":
        return amount.written != "四" or _WEEK_AROUND.match(behind) is not None
    return True


_WEEKDAYS = frozenset("一二三四五六")
_WEEKDAY = re.compile(
    r"(?:(?<![一二两三四五六七八九十\d几每])周|星期|礼拜)$"
)  # 周六周日 counts no weeks, 两周三周 does


def _is_unit(amount: Amount, behind: str, words: Words) -> bool:
    """分 is a minute before 钟 or at the end, 块 is money unless something is cut into pieces, 日 a day in Japanese."""
    if amount.word == "日":
        return (
            words.japanese
            and amount.written != "一"
            and re.match(r"(?:で|以内|間|间|後|后|お届|配)", behind) is not None
        )
    if amount.word == "分":
        return words.japanese and re.match(r"(?:で|以内|間|间|後|后|仕上)", behind) is not None
    if amount.word == "块":
        return not behind or behind[0] in "起钱，。！的" or behind.startswith(("包邮", "一", "就"))
    return (amount.word == "两" and len(amount.written) > 1) or (amount.word == "平" and float(amount.value) >= 100)


def _is_a_saying(amount: Amount, words: Words) -> bool:
    """True where a word of the dictionary holds the number and says more than a number and its unit."""
    word: Word = words.at(amount.start)
    text = words.text[word.start : word.end]
    kind = words.kind(word)
    if kind == "数詞" or not word.listed:
        return False
    if all(char in numerals.HAN or char in "数几多上余半第" for char in text):
        return False
    if word.start <= amount.start and word.end >= amount.end and (word.start < amount.start or word.end > amount.end):
        return not (kind in ("m", "mq", "t") and _COUNTER.search(text) is not None and len(text) <= 3)
    if words.japanese:
        return word.end > amount.start + len(amount.written)
    # 一键, 一体: the number and what follows are one word, which is no measure
    return word.end > amount.start + len(amount.written) and kind not in ("m", "mq", "t", "q") and not amount.word


def _token_around(folded: str, start: int, end: int) -> str:
    while start and folded[start - 1] in _TOKEN:
        start -= 1
    while end < len(folded) and folded[end] in _TOKEN:
        end += 1
    return folded[start:end]


_TOKEN = frozenset(ascii_lowercase + digits)
