"""Spellings that hide a term: spaced out, doubled letters, digits for letters, syllables and homophones for Chinese
characters. Each function says whether what was matched is a disguise, or ordinary words that happen to look like one.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import groupby

from adtext.fold import Span
from adtext.words import Words, english_words, lines

_LATIN = re.compile(r"[a-z]")
_CLAUSE_END = re.compile(r"[.,;:!?]\s|[，。；：！？、…\n]")
_LATIN_CLAUSE_END = re.compile(r"[,.;:!?](?=\s)|[，。；：！？、…]")
_APOSTROPHES = str.maketrans("", "", "'’")
_PIECE = re.compile(r"[^\W_]+")

# ---- spaced out

# words alone, or Chinese or Japanese with digits and letters: squeezed, they still say what they said
_PLAIN = re.compile(r"[a-z' -]{4,}|(?=.*[^\W\d_a-z])[^\W_]{2,}|[a-z]{2,}\.? ?[0-9]+")


def can_be_squeezed(spelling: str) -> bool:
    """True for a term that is still the same without spaces and punctuation."""
    return _PLAIN.fullmatch(spelling) is not None


def is_spaced_out(raw: str, span: Span, term: str) -> bool:
    """True where the characters squeezed out of raw[span] only hide the term.

    最 佳, 最.佳, f.r.e.e, guar anteed and 全,网,最,低,价 do. The end of a clause between two words (最好。佳作; click.
    Here), and words that happen to make up another (the rapist), do not.
    """
    written = raw[span.start : span.end]
    if not written.isalnum() and written.translate(_APOSTROPHES).isalnum():  # who're
        return False
    pieces = _PIECE.findall(written)
    letters = sum(map(len, pieces))
    if len(pieces) == letters and letters > 2 and "-" not in written:  # every letter stands alone
        return True
    if _LATIN.search(term.casefold()) is None or not term.isascii():
        return _CLAUSE_END.search(written) is None
    several_words = _PIECE.fullmatch(term) is None
    if term[-1].isdigit():
        return not any(char.isspace() for char in written) or written[0] == "№"
    if any(char.isspace() for char in written):
        if _LATIN_CLAUSE_END.search(written) is not None:
            return False
        return several_words or not all(piece.casefold() in english_words() for piece in pieces)
    return several_words or len(pieces) > 1


# ---- doubled letters, and digits and signs for letters

_SKELETON = str.maketrans(
    {"l": "i", "1": "i", "!": "i", "|": "i", "0": "o", "3": "e", "4": "a", "@": "a", "5": "s", "$": "s", "7": "t",
     "+": "t", "8": "b", "9": "g", "€": "e"}
)  # fmt: skip
_RUN = re.compile(r"(.)\1+", re.DOTALL)


def skeleton(text: str) -> str:
    """One letter for all that look alike, each run of one letter shortened to one."""
    return _RUN.sub(r"\1", text.translate(_SKELETON))


def skeleton_positions(text: str) -> list[int]:
    """Where each character of the skeleton begins in the text."""
    translated = text.translate(_SKELETON)
    return [at for at, char in enumerate(translated) if at == 0 or char != translated[at - 1]]


def is_respelled(written: str, raw: str, term: str) -> bool:
    """True where `written`, whose skeleton is the term's, respells the term: a letter doubled, or a digit in its place.
    `raw` is the folded text that was read as `written`.
    """
    if raw == term:
        return False
    said, meant = written.translate(_SKELETON), term.translate(_SKELETON)
    runs = [(len(list(a)), len(list(b))) for (_, a), (_, b) in zip(groupby(said), groupby(meant), strict=True)]
    if any(more < less for more, less in runs):
        return False
    if sum(more for more, _ in runs) == len(term):
        return all(a == b or (b.isalpha() and not a.isalpha()) for a, b in zip(raw, term, strict=True))
    if any(char.isdigit() for char in term):
        return False
    return not all(word in english_words() for word in _LATIN_WORD.findall(written))


_LATIN_WORD = re.compile(r"[a-z]+")

# ---- syllables and homophones

_SOUND_BASE = 0xF0000  # a private plane: one code point for each syllable


@cache
def _sounds() -> tuple[dict[int, str], dict[str, str]]:
    """(character → sound, syllable → sound)."""
    characters, syllables = {}, {}
    for number, line in enumerate(lines("pinyin.txt")):
        syllable, written = line.split(" ")
        sound = syllables[syllable] = chr(_SOUND_BASE + number)
        characters.update({ord(char): sound for char in written})
    return characters, syllables


_HAN = r"\u4e00-\u9fff"
_MIXED = re.compile(rf"[{_HAN}] ?[a-z]|[a-z] ?[{_HAN}]")
_SYLLABLE = re.compile(rf"(?<=[{_HAN}])[a-z]{{1,6}}(?![a-z])|(?<![a-z])[a-z]{{1,6}}(?=[{_HAN}])")
_ALL_HAN = re.compile(rf"[{_HAN}]{{2,8}}")
# characters that hardly anybody writes but to hide another
_HIDING = frozenset("晸葳薇徽囍佲偑洣偍")


def can_be_sounded(spelling: str) -> bool:
    """True for a term of Chinese characters, each with a known sound."""
    return _ALL_HAN.fullmatch(spelling) is not None and all(ord(char) in _sounds()[0] for char in spelling)


def sound(text: str) -> tuple[str, list[int] | None]:
    """The text by its sounds, and where each stands in the text (None: everything stands where it stood)."""
    characters, syllables = _sounds()
    if _MIXED.search(text) is None:
        return text.translate(characters), None
    pieces: list[str] = []
    starts: list[int] = []
    at = 0
    for match in [*_SYLLABLE.finditer(text), None]:
        upto = match.start() if match else len(text)
        pieces.append(text[at:upto].translate(characters))
        starts += range(at, upto)
        if match is not None:
            known = syllables.get(match.group())
            pieces.append(known or match.group())
            starts += [match.start()] if known else range(*match.span())
            at = match.end()
    return "".join(pieces), [*starts, len(text)]


def is_sounded(written: str, term: str, start: int, words: Words) -> bool:
    """True where `written`, which sounds like the term, stands for it: by a syllable in Latin letters (国jia级), by a
    character that is hardly used otherwise (蕞佳), or by one homophone that makes no word where it stands (稳赚不陪).
    """
    if written == term:
        return False
    if _LATIN.search(written):
        return any(char in term for char in written)
    other = [at for at, (said, meant) in enumerate(zip(written, term, strict=True)) if said != meant]
    if all(written[at] in _HIDING for at in other):
        return True
    if len(other) > 1 or (len(term) < 4 and term[other[0]] != "最"):  # 醉佳
        return False
    word = words.at(start + other[0])
    return word.end - word.start == 1 or not word.listed
