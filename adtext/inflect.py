"""Inflected forms of the verbs that packs name, so that a pack names a claim once: cure → cures, cured, curing;
消える → 消えます, 消えた, 消えて.
"""

from __future__ import annotations

import re

_IRREGULAR = {
    "be": "is are was been being", "beat": "beats beating beaten", "become": "becomes became becoming",
    "fight": "fights fought fighting", "forget": "forgets forgot forgotten forgetting",
    "get": "gets got getting", "give": "gives gave given giving", "go": "goes went gone going",
    "grow": "grows grew grown growing", "keep": "keeps kept keeping", "lose": "loses lost losing",
    "make": "makes made making", "pay": "pays paid paying", "quit": "quits quitting", "rebuild": "rebuilds rebuilt",
    "regrow": "regrows regrew regrown regrowing", "see": "sees saw seen seeing",
    "shrink": "shrinks shrank shrunk shrinking",
    "shed": "sheds shedding", "undo": "undoes undid undone undoing", "win": "wins won winning",
    "burn": "burns burned burnt burning",
    "cut": "cuts cutting", "rid": "rids ridding", "sell": "sells sold selling", "leave": "leaves left leaving",
}  # fmt: skip
_DOUBLING = re.compile(r"[^aeiou][aeiou][bdgklmnprt]$")
_ONE_SYLLABLE = re.compile(r"[^aeiou]*[aeiou][^aeiou]$")


def english(phrase: str) -> list[str]:
    """The phrase with its first word, a verb, in every form."""
    verb, _, rest = phrase.partition(" ")
    return [f"{form} {rest}".rstrip() for form in _english_forms(verb)]


def _english_forms(verb: str) -> list[str]:
    if verb in _IRREGULAR:
        return [verb, *_IRREGULAR[verb].split()]
    if verb.endswith("e"):
        return [verb, f"{verb}s", f"{verb}d", f"{verb[:-1]}ing"]
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return [verb, f"{verb[:-1]}ies", f"{verb[:-1]}ied", f"{verb}ing"]
    plural = f"{verb}es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else f"{verb}s"
    base = verb + verb[-1] if _ONE_SYLLABLE.fullmatch(verb) and _DOUBLING.search(verb) else verb
    return [verb, plural, f"{base}ed", f"{base}ing"]


_ICHIDAN = re.compile(r"[いきぎしじちにひびみりえけげせぜてでねへべめれ出見着似得寝]る$")
# stem endings of the polite form, the past and the te-form, by the last kana of the dictionary form
_GODAN = {
    "う": "い っ", "つ": "ち っ", "る": "り っ", "く": "き い", "ぐ": "ぎ い", "す": "し し",
    "ぬ": "に ん", "ぶ": "び ん", "む": "み ん",
}  # fmt: skip
_VOICED = frozenset("ぐぬぶむ")


def japanese(phrase: str) -> list[str]:
    """The phrase with its last word, a verb in dictionary form, in every affirmative form."""
    if phrase.endswith("する"):
        stem = phrase[:-2]
        return [
            phrase,
            *(f"{stem}し{ending}" for ending in ("ます", "ました", "た", "て")),
            f"{stem}できる",
            f"{stem}できます",
        ]
    if _ICHIDAN.search(phrase):
        stem = phrase[:-1]
        return [phrase, *(stem + ending for ending in ("ます", "ました", "た", "て", "れば"))]
    if phrase[-1] not in _GODAN:
        return [phrase]
    polite, past = _GODAN[phrase[-1]].split()
    stem, voiced = phrase[:-1], phrase[-1] in _VOICED
    return [
        phrase,
        f"{stem}{polite}ます",
        f"{stem}{polite}ました",
        f"{stem}{past}{'だ' if voiced else 'た'}",
        f"{stem}{past}{'で' if voiced else 'て'}",
    ]
