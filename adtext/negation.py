"""Whether a claim is denied where it stands: no free shipping, 不保本, 元本保証はありません, not a substitute for."""

from __future__ import annotations

import re

_REACH = 24
_ENGLISH_BEFORE = re.compile(
    r"(?:\b(?:no|not|never|without|cannot|nor|neither|free from|instead of|avoid|avoids|avoiding|beware of|against)"
    r"|n['’]t)"
    r"(?! only| just| merely)(?: (?:a|an|any|the|be|make|offer|promise|provide|intended to|claim to|meant to|such))*"
    r"(?: [a-z'-]+)? ?(?:['\"“]?)$"
)
_ENGLISH_AFTER = re.compile(
    r" ?['\"”]?(?: [a-z]+)? ?(?:is|are|was|were|will|can|may|do|does)(?: not|n['’]t|not) (?!only|just)"
    r"|, ever$| (?:is|are) never "
)
_CHINESE_BEFORE = re.compile(
    r"(?:不(?:能|可|得|会|应|再|支持|提供|含|接受|承诺|保证|做|是|属于|作|构成|代表|宜|要)?|无|没有|没|未|并非|绝非|暂无"
    r"|而非|非|拒绝|谢绝|严禁|禁止|杜绝|切勿|勿|警惕|远离|打击|抵制|反)"
    r"(?:提供|支持|承诺|保证|用于|能够?|会|作|存在|任何|有|将|宣传|宣称|使用|做){0,2}$"
)
_JAPANESE_AFTER = re.compile(
    r"(?:を|は|が|では|とは|も|し|する|した|こと|もの|もので|致し|いたし|お約束|約束|示す|意味する|の|対象|効果|で|に|と|薬|です){0,5}"
    r"(?:ありません|ない(?!ため|と損)|なし|ございません|できません|いたしません|致しません|しません|ません|対象外|不可|無し|を除く|外です)"
)


_ONE_OF_MANY = re.compile(
    r"\b(?:one|some|two|three|many|few|[0-9]+) of (?:the|our|my|their) ?$"
)  # claims no first place


def denied(folded: str, start: int, end: int) -> bool:
    """True where the words around folded[start:end] deny it."""
    if folded[start] < "\u0250":
        before = folded[max(start - _REACH, 0) : start]
        return bool(_ENGLISH_BEFORE.search(before) or _ONE_OF_MANY.search(before)) or bool(
            _ENGLISH_AFTER.match(folded[end : end + _REACH])
        )
    if _CHINESE_BEFORE.search(folded[max(start - 8, 0) : start]):
        return True
    return bool(_JAPANESE_AFTER.match(folded[end : end + 16]))
