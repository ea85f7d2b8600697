"""What an amount counts or prices: the words around it, the period it is paid for, the scope that limits it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from adtext.amounts import Amount
from adtext.remember import remember
from adtext.words import each


class Context(NamedTuple):
    """What stands around an amount. Two amounts of one value mean the same where nothing here contradicts."""

    words: frozenset[str]  # stems, and single Chinese and Japanese characters
    kinds: frozenset[str]  # kinds of things that are counted (shops, staff, customers) or granted (warranty, returns)
    period: str  # night, month: the time that a price pays for; empty where the text does not say
    limited: bool  # up to, 低至: less than the bare amount promises
    selected: bool  # selected, 部分: not everything
    off: bool  # taken off a price


@remember(32)
def context(folded: str, amount: Amount) -> Context:
    """The context of an amount inside its clause."""
    before = _CLAUSE.split(folded[max(amount.start - _REACH, 0) : amount.start])[-1]
    after = _CLAUSE.split(folded[amount.end : amount.end + _REACH], maxsplit=1)[0]
    words = _words(before)[-_BEFORE:] + _words(after)[:_AFTER]
    han = _HAN.findall(before)[-_BEFORE_HAN:] + _HAN.findall(after)[:_AFTER_HAN]
    counted = _words(_PREPOSITION.split(after, maxsplit=1)[0])[:_COUNTED]
    kinds = {_KIND[word] for word in counted if word in _KIND}
    kinds |= {kind for kind, written in _HAN_KINDS.items() if written.search(after[:_COUNTED_HAN])}
    sentence = folded[max(amount.start - 2 * _REACH, 0) : amount.end + _REACH]
    return Context(
        words=frozenset(words) | (frozenset(han) - _FUNCTION),
        kinds=frozenset(kinds),
        period=_period(before, after, amount),
        limited=bool(_LIMIT.search(before[-14:]) or _LIMIT_AFTER.match(after)),
        selected=bool(_SELECTED.search(sentence)),
        off=amount.off or not _OFF.isdisjoint(words) or _TAKEN_OFF.search(f"{before[-6:]}|{after[:6]}") is not None,
    )


def agree(said: Context, known: Context, amount: Amount, text: str) -> bool:
    """True where what the text says of an amount does not contradict what the brief says of it.

    People call one thing by many names, so only what is known to differ contradicts: shops and staff, a price for a
    weekend and a price, a share taken off and any other share. `text` is the whole field, folded.
    """
    if amount.kind == "price":
        if not known.period or said.period == known.period:
            return True
        return not said.period and (known.period == "hour" or _A_PERIOD.search(text) is not None)
    if amount.kind == "percentage":
        if said.off and not known.off and known.words:
            return False
        whole = (said.limited or not known.limited) and (said.selected or not known.selected)
        return whole or not said.off
    if amount.kind in ("number", "quantity"):
        return not said.kinds or not known.kinds or not said.kinds.isdisjoint(known.kinds)
    return True


_REACH, _BEFORE, _AFTER, _BEFORE_HAN, _AFTER_HAN = 32, 3, 4, 5, 7
_COUNTED, _COUNTED_HAN = 2, 5  # words and characters behind a number that say what it counts
_CLAUSE = re.compile(r"[.;:!?|\n](?![0-9])|,(?![0-9])|[。；：！？，、｜]|\band\b")
_PREPOSITION = re.compile(r"(?<!^)\b(?:on|in|for|at|with|to|from|under|by|per)\b")
_WORD = re.compile(r"[a-z][a-z'’]+")
_HAN = re.compile(r"[\u4e00-\u9fff\u30a1-\u30fa]")
_STOP = frozenset(
    each(
        "a an the of in on at to for from by with and or our your you we us it its is are be this that these those "
        "all any every each per just only now new more most than up as so then into out about via get has have had "
        "will can may not no some very also if when while they their i my me he she his her them what who how do does "
        "did"
    )
)
_FUNCTION = frozenset("的了在是有和与就也都很我你您们这那个一只仅可能为让把被从到于及或等共约")
_OFF = frozenset({"off", "discount", "save", "sav", "cheaper", "reduction", "reduc", "deduct"})
_TAKEN_OFF = re.compile("减|省|降|优惠|让利|折|引|オフ|値下")
_LIMIT = re.compile(r"\b(?:up to|as much as|as low as|max(?:imum)?)\b|最高|高达|最多|低至|最大|可达")
_LIMIT_AFTER = re.compile(r" ?(?:まで|起(?!步))")
_SELECTED = re.compile(r"\b(?:select(?:ed)?|some|certain|participating)\b|部分|指定|精选|一部")
_TIMES = "night|day|week|weekend|month|year|hour|term|session"
_PERIOD = re.compile(
    rf" ?(?:/|per\b|an?\b|each\b|every\b|毎|每|一) ?(?:(?P<en>{_TIMES})\b|(?P<han>小时|[天日夜晚月年周时]))"
    r"|/(?P<short>mo|mth|yr|wk|hr|h)\b| ?(?P<adverb>monthly|nightly|weekly|yearly|annually|daily|hourly|pcm|pw)\b"
)
_PERIOD_BEFORE = re.compile(
    r"(?:[每毎](?P<each>小时|[天日夜晚月年周])|(?P<paid>[月年日时])(?:额|费|付|供|租|薪|给)"
    r"|(?<![0-9一二三四五六七八九十])(?P<bare>[月年日周])|[1一](?P<stay>泊|时间))(?:只要|仅需|仅|低至|约|は)?$"
)
# a text that speaks of any time says what its price pays for
_A_PERIOD = re.compile(
    rf"\b(?:{_TIMES})s?\b|\b(?:monthly|nightly|weekly|yearly|annual|annually|daily|hourly)\b"
    r"|\b(?:rent|subscription|membership)\b|[每毎][天日夜晚月年周]|[月年日周](?:额|费|付|供|租|卡)|/[天日夜晚月年周]|[一1]晚|租"
)
_SAME = {
    "月": "month", "mo": "month", "mth": "month", "monthly": "month", "pcm": "month", "年": "year", "yr": "year",
    "yearly": "year", "annually": "year", "天": "day", "日": "day",
    "泊": "night", "时间": "hour", "小时": "hour", "daily": "day", "夜": "night", "晚": "night",
    "nightly": "night", "周": "week", "wk": "week", "weekly": "week", "pw": "week", "时": "hour", "hr": "hour",
    "h": "hour", "hourly": "hour",
}  # fmt: skip


def _period(before: str, after: str, amount: Amount) -> str:
    if amount.kind != "price":
        return ""
    found = _PERIOD.match(after) or _PERIOD_BEFORE.search(before)
    if found is None:
        return ""
    word = next(word for word in found.groups() if word)
    return _SAME.get(word, word)


# kinds of things that are not each other, however one calls them
_KINDS = {
    "shop": "shop store branch outlet location office showroom salon clinic restaurant",
    "staff": "staff employee expert engineer stylist doctor teacher tutor technician driver specialist nurse coach",
    "customer": "customer client user member subscriber runner reader buyer student patient family household",
    "opinion": "review rating star vote testimonial",
    "award": "award prize medal",
    "style": "style design model pattern colour color shade flavour flavor variety recipe product item",
    "area": "country city town state region",
    "year": "year decade",
    "warranty": "warranty guarantee guaranteed warrantied",
    "returns": "return returns refund exchange",
    "trial": "trial",
    "delivery": "delivery dispatch shipping",
}
_HAN_KINDS = {
    kind: re.compile(written)
    for kind, written in {
        "shop": "门店|分店|家店|店铺|店舗|网点|校区|営業所",
        "staff": "员工|技师|老师|教师|医生|师傅|专家|设计师|社员|スタッフ|讲师",
        "customer": "用户|客户|顾客|会员|学员|粉丝|人が|お客|会員",
        "style": "款|花色|口味|颜色|种|色|種類",
        "area": "城市|国家|省|か国|カ国|都市",
        "warranty": "质保|保修|联保|延保|保証|保证期",
        "returns": "无理由|退换|退货|包退|返品|返金",
        "trial": "试用|体验|試用|お試し|无料体验",
        "delivery": "发货|送达|到货|必达|配送|発送|お届け",
    }.items()
}


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A crude stem: enough to see that shops and shop, returned and returns are one word."""
    word = word.split("'")[0].split("’")[0]
    for ending in ("ies", "ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)] + ("y" if ending == "ies" else "")
            break
    if len(word) > 4 and word.endswith("e"):
        word = word[:-1]
    return word


_KIND = {stem(word): kind for kind, words in _KINDS.items() for word in each(words)}


def _words(clause: str) -> list[str]:
    return [stem(word) for word in _WORD.findall(clause) if word not in _STOP]
