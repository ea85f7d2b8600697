"""Whether a claim is denied where it stands: no free shipping, 不保本, 元本保証はありません, not a substitute for."""

from __future__ import annotations

import re

_REACH = 40
_REACH_BEHIND = 24
_ENGLISH_BEFORE = re.compile(
    r"(?:\b(?:no|not|never|without|cannot|nor|neither|free from|instead of|avoid|avoids|avoiding|beware of|against"
    r"|(?:nobody|no one) (?:can|will|could))|n['’]t)"
    r"(?! only| just| merely)"
    r"(?: (?:a|an|any|the|be|make|offer|promise|provide|intended to|claim to|meant to|able to|such|to|sell|say that))*"
    r"(?:(?: [a-z'-]+,){0,3}(?: [a-z'-]+)?,? (?:or|nor|and))?"  # not meant to cure or prevent
    r"(?: [a-z'-]+)? ?(?:['\"“]?)$"
    r"|\b(?:anyone|anybody|those|people|sellers|firms|ads) (?:who|that)"
    r" (?:promise|guarantee|claim|offer|say)s?(?: [a-z'-]+){0,2} $"
    r"|\b(?:myth|myths|lie|lies|truth|scam|scams) (?:of|about|behind|that)(?: [a-z'-]+)? $"
)
_ENGLISH_AFTER = re.compile(
    r" ?['\"”]?(?: [a-z]+)? ?(?:is|are|was|were|will|can|may|do|does)(?: not|n['’]t|not) (?!only|just)"
    r"|, ever$| (?:is|are) never "
    r"|[a-z ]{0,16}\? (?:no|nope|never|not (?:quite|us|here|really))\b"  # miracle? no, just oats
    r"| (?:is|are) (?:an? )?(?:myth|lie|scam|illegal|impossible|too good to be true)\b"
)
_CHINESE_BEFORE = re.compile(
    r"(?:不(?:能|可|得|会|应|再|支持|提供|含|接受|承诺|保证|做|是|属于|作|构成|代表|宜|要|搞|信)?|无|没有|没|未|并非|绝非|暂无|从不|从未|谁说"
    r"|而非|非|拒绝|谢绝|严禁|禁止|杜绝|切勿|勿|警惕|谨防|提防|小心|防范|识破|揭穿|举报|远离|打击|抵制|反)"
    r"(?:提供|支持|承诺|保证|用于|能够?|会|作|存在|任何|有|将|宣传|宣称|使用|做|说|所谓的?|什么){0,2}"
    r"(?:[^，。！？；、 ]{1,6}(?:或|和|及|与|、|或者))?$"
)
_CHINESE_AFTER = re.compile(
    r"的?[^，。！？；、 ]{0,4}?(?:都|多半|大多|往往|全|一定|其实)*(?:是|属)(?:骗|假|谎|违法|诈|陷阱|不可能|幻想)"
    r"|的?[^，。！？；、 ]{0,4}?(?:都|均|并)?(?:不可信|不可能|不存在|违法|骗局|陷阱|不靠谱)"
)
_OTHERWISE = "必要|心配|不安|リスク|副作用|制限|面倒|手間|他に|ほかに|どこにも|以外|損"
_JAPANESE_AFTER = re.compile(
    r"(?:を|は|が|では|とは|も|し|する|した|こと|もの|もので|致し|いたし|お約束|約束|示す|意味する|の|対象|効果|で|に|と|薬|です){0,5}"
    r"(?:ありません|ない(?!ため|と損)|なし|ございません|できません|いたしません|致しません|しません|ません|対象外|不可|無し|を除く|外です)"
    rf"|(?!.{{0,14}}(?:{_OTHERWISE}))[^、。！？ ]{{0,8}}(?:は|も)(?:一切)?"
    r"(?:ありません|ございません|存在しません|違法|詐欺|うそ|嘘)"
    r"|[^。！？ ]{0,14}(?:とは(?:言え|いえ|言い|いい|限り)ません|わけではありません|ものではありません"
    r"|(?:約束|保证|保証)(?:は|でき|いたし|し)ません?)"
    r"|[^、。！？ ]{0,8}(?:に(?:ご)?注意|に気をつけ)"
)
_ONE_OF_MANY = re.compile(
    r"\b(?:one|some|two|three|many|few|[0-9]+) of (?:the|our|my|their) ?$"
)  # claims no first place


def denied(folded: str, start: int, end: int) -> bool:
    """True where the words around folded[start:end] deny it."""
    if folded[start] < "\u0250":
        before = folded[max(start - _REACH, 0) : start]
        return bool(_ENGLISH_BEFORE.search(before) or _ONE_OF_MANY.search(before)) or bool(
            _ENGLISH_AFTER.match(folded[end : end + _REACH_BEHIND])
        )
    if _CHINESE_BEFORE.search(folded[max(start - 12, 0) : start]):
        return True
    behind = folded[end : end + _REACH_BEHIND]
    return bool(_CHINESE_AFTER.match(behind) or _JAPANESE_AFTER.match(behind))
