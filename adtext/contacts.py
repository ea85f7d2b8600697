"""Phone numbers, addresses and private contacts, in every usual spelling: +44 20 7946 0958, 1.800.555.1234,
０１２０－１２３－４５６, fernhill dot com, 点com, 官微qinghe88.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from adtext.fold import Cover, Span, Views
from adtext.grounding import Facts

_GAP = r"[ .\-–—‐−/・]"
_DIGIT_GROUPS = re.compile(
    rf"(?<![0-9a-z,])(?<![0-9][.,])\+?\(?[0-9]{{1,5}}\)?(?:{_GAP}{{0,2}}\(?[0-9]{{1,5}}\)?){{1,6}}(?![0-9])(?![.,][0-9])"
)
_LONE_DIGITS = re.compile(r"(?<![0-9])[0-9]{10,13}(?![0-9])")
_NUMBER = re.compile(
    r"\+[0-9]{8,15}"  # international
    r"|(?:0?086|86)?1[3-9][0-9]{9}"  # China, mobile
    r"|0[1-9][0-9]{7,10}"  # a trunk prefix: China, Japan, United Kingdom
    r"|[48]00[0-9]{7}"  # service numbers
    r"|1?[2-9][0-9]{2}[2-9][0-9]{6}"  # North America
)
_NORTH_AMERICA = re.compile(rf"\+?(?:1{_GAP})?\(?[2-9][0-9]{{2}}\)?{_GAP}{{1,2}}[0-9]{{3}}{_GAP}[0-9]{{4}}")
_VANITY = re.compile(r"1[ -.]8[0-9]{2}[ -.][a-z]{4,8}(?![a-z])")
_CALLED = re.compile(
    r"(?:\b(?:call|phone|tel|telephone|ring|dial|text|sms|fax|hotline)\b|电话|手机|致电|热线|来电|拨打|お电话|电话番号)"
    r"[^0-9a-z+]{0,4}(?:us |now |on |at |は)?"
    r"(?P<number>\+?[0-9(][0-9 ().-]{4,18}[0-9])"
)
_DIGIT_WORDS = "zero|oh|one|two|three|four|five|six|seven|eight|nine"
_SPELLED = re.compile(
    r"[一二三四五六七八九零〇幺](?:[ ·.-]?[一二三四五六七八九零〇幺]){6,}"
    rf"|\b(?:(?:{_DIGIT_WORDS})[ -]){{6,}}(?:{_DIGIT_WORDS})\b"
)
# what numbers a file, an order or a part
_REFERENCE = re.compile(
    r"\b(?:file|form|no\.?|order|item|sku|model|part|isbn|issn|ref\.?|code|serial|case|invoice|patent) ?[:#]? ?$"
    r"|编号|单号|货号|型番|品番|证号|注文番号"
)
_HAS_DIGITS = re.compile(r"[0-9][^a-z\u4e00-\u9fff]{0,3}[0-9]")


def phones(folded: str) -> list[tuple[int, int]]:
    """Where phone numbers stand in a folded text."""
    found = [match.span() for match in _SPELLED.finditer(folded)]
    if not _HAS_DIGITS.search(folded):
        return found + [match.span() for match in _VANITY.finditer(folded)]
    found += (match.span() for pattern in (_VANITY, _NORTH_AMERICA) for match in pattern.finditer(folded))
    found += (match.span("number") for match in _CALLED.finditer(folded) if sum(map(str.isdigit, match["number"])) > 6)
    for match in (*_DIGIT_GROUPS.finditer(folded), *_LONE_DIGITS.finditer(folded)):
        digits = "".join(char for char in match.group() if char.isdigit() or char == "+")
        if _REFERENCE.search(folded, max(match.start() - 16, 0), match.start()):
            continue
        if _NUMBER.fullmatch(digits) and (digits[0] != "+" or match.group()[0] == "+") and _is_grouped(match.group()):
            found.append(match.span())
    cover = Cover(found)
    longest = {span for span in found if not _is_inside_another(span, found)} if cover else set()
    return sorted(longest)


def _is_grouped(written: str) -> bool:
    """Not a run of round numbers such as 400 600 800, nor a list of years."""
    groups = re.findall("[0-9]+", written)
    return len(groups) == 1 or max(map(len, groups)) >= 4 or written.startswith(("+", "0"))


def _is_inside_another(span: tuple[int, int], others: list[tuple[int, int]]) -> bool:
    return any(other != span and other[0] <= span[0] and span[1] <= other[1] for other in others)


# ---- addresses and private contacts

_DOMAINS = (
    "com|net|org|edu|gov|cn|hk|tw|jp|uk|us|eu|de|fr|io|ai|co|me|tv|cc|app|dev|shop|store|online|site|info|biz|top|xyz|"
    "vip|club|ltd"
)
_ADDRESS_SIGN = re.compile(r"[@.]|dot|点|ドット")
_ADDRESS = re.compile(
    r"(?<![a-z0-9._+-])[a-z0-9._+-]+(?:@| ?[(\[]at[)\]] ?)[a-z0-9-]+(?:(?:\.| ?[(\[]?dot[)\]]? ?)[a-z0-9-]+)+"
    r"|(?:https?://|www\.)[a-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+"
    rf"|(?<![a-z0-9.-])(?:[a-z0-9-]+\.)+(?:{_DOMAINS})(?![a-z0-9-])(?:/[a-z0-9._~/?#=&%-]*)?"
    rf"|(?<![a-z0-9-])[a-z0-9-]+(?: ?[(\[]dot[)\]] ?| dot )(?:{_DOMAINS})(?![a-z0-9-])"
    rf"|(?<![a-z0-9-])[a-z0-9-]+ ?(?:点|ドット) ?(?:com|net|cn|org|shop|vip|top|cc|jp)(?![a-z0-9-])"
    rf"|(?<![a-z0-9-])[a-z0-9-]{{3,}}(?: \. ?|\. )(?:com|net|org)(?![a-z0-9-])"
    r"|(?<![a-z0-9.-])[a-z0-9-]{2,}\.[a-z]{2,4}/[a-z0-9_-]+"
    r"|(?<![a-z0-9])@[a-z0-9_]{3,}"
)
_ACCOUNT_SIGN = re.compile(
    r"v[❤♥❥]|微|薇|v信|扣扣|企鹅|公众号|抖音|小红书|快手|qq|vx|wx|whatsapp|telegram|line|wechat|skype|ins|tg"
)
_ACCOUNT = re.compile(
    r"(?:官微|官方微博|微博|微信号?|薇信|v信|公众号|抖音号?|小红书号?|快手号?|扣扣|企鹅|(?<![a-z])(?:qq|vx|wx|ins|tg|weixin|wechat|telegram|whatsapp|skype"
    r"|line ?id|line@?))(?:号|id|@)?[ :]{0,3}[a-z0-9_-]*[0-9_][a-z0-9_-]*(?<=[a-z0-9_-]{5})"
    r"|(?<![a-z])v[❤♥❥]\ufe0f?[ :]{0,2}[a-z0-9_-]{5,}"
)


def contacts_in(text: Views, known: Facts) -> Iterator[tuple[str, Span]]:
    """(rule, raw span) of every address that the brief does not hold, and of every private contact."""
    folded = text.folded.text
    if _ADDRESS_SIGN.search(folded):
        for match in _ADDRESS.finditer(folded):
            if match.group().rstrip("./") not in known.text:
                yield "ungrounded_contact", text.folded.raw_span(*match.span())
    if _ACCOUNT_SIGN.search(folded):
        for match in _ACCOUNT.finditer(folded):
            yield "solicitation", text.folded.raw_span(*match.span())
