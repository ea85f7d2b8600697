"""The English of composed texts: what a query names, which words take capitals, what is plural, how a price is said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from trainer.prompts import Prompt

_QUESTION = re.compile(
    r"(?i)^(?:how|what|when|where|why|who|which|is|are|can|do|does|should|will|help|lost|my)\b|"
    r"\b(?:my|me|won't|no|not|cheap(?:est)?|best|cost|price|prices|reviews?|recommendation|same day)\b"
)
_SMALL = frozenset("a an and at as but by for if in nor of on or per the to up vs".split())
_JOINS = frozenset("for with in from without by of to near".split())
_ORDERS = frozenset(
    "order buy find get book rent hire learn compare shop sell make post move fix remove save send teach watch switch "
    "turn help replace replacing want wanted need".split()
)
_UNCOUNTED = frozenset(
    "help advice repair hire rental insurance training cleaning storage furniture clothing coffee tea care "
    "software therapy music wool bread cheese honey tuition bookkeeping delivery support treatment paint tile "
    "fabric leather food law yoga flooring lighting catering coaching counselling counseling testing moving "
    "printing removal soap jerky milk tofu acupuncture hygiene massage boarding payroll mediation installation "
    "maintenance servicing restringing rotation replacement refinishing sanding washing fitting tuning alignment "
    "photography carpentry paving walling pottery rowing cover cabling".split()
)
_COUNTED = frozenset(
    "app appointment bakery barber barbershop bookstore broker builder cafe campsite captain caterer choir cleaner "
    "clinic club course dentist doctor electrician fitter garage gym handyman hostel inn installer kit kennel lawyer "
    "locksmith lodge mechanic midwife nursery osteopath photographer plumber pharmacy salon school shop solicitor spa "
    "store studio surgeon tailor teacher therapist tour trainer trip tutor workshop".split()
)
# what a price stands beside without being what it buys: "60 minutes £46"
_NOT_BOUGHT = frozenset(
    "adults children kids seniors members guests students teams groups weekends weekdays mornings evenings afternoons "
    "hours minutes days weeks weeknights nights months sundays saturdays fridays thursdays wednesdays tuesdays mondays "
    "people persons couples families pupils decisions replies up".split()
)
_HEAD_ENDS = frozenset("for of with without in by to at from on while before after near under up per and or".split())
_LOWERED = frozenset(
    "a an the free all every each no one two three four five six seven eight nine ten twelve from open first same only "
    "fixed weekly monthly daily small large new hand over under up fresh local online next most prices made sold "
    "delivered classes lessons repairs returns delivery parts spare".split()
)
_NUMBERS = frozenset("two three four five six seven eight nine ten twelve over about around up half".split())
_CAPITALS = {
    word.lower(): word
    for word in "UK USA US SAT ACT GCSE VAT SEO TV PC LED RV IT UPVC MOT 3D HVAC DIY EV SUV CDL HDMI BBQ PDF HR".split()
}
_STATES = frozenset("al ak az ca co ct fl ga ia id il ks ky la md me mi mn mo ms mt nc nd ne nh nj nm nv ny oh".split())
# a name: capitals inside a sentence, one word or several in a row; an abbreviation anywhere
_NAME = re.compile(r"(?<![.!?] )(?<!^)\b[A-Z][\w'-]*(?: [A-Z][\w'-]*)*|\b[A-Z]{2,}\b")
_PLACE = re.compile(r"\b(in|near|around|from) ([A-Z][\w'-]+(?: [A-Z][\w'-]+){0,2})")
_TROUBLES = frozenset(
    "leaking cracked broken lost weak slipping dead blocked sunken smashed squealing sagging snapped stuck torn worn "
    "withheld faulty noisy damp rusty missing stolen unpaid".split()
)
_PRICED = re.compile(
    r"(?P<what>[^£$,;:]*?[a-z)])(?P<least>,? from)?,?(?: at| for)? (?P<price>[£$]\d[\d,.]*(?<=\d))"
    r"(?P<rest>(?: [^£$]*)?)"
)


@dataclass(frozen=True, slots=True)
class Priced:
    """A fact that is one thing and its price: `Kilt hire £75 for three days`."""

    what: str
    least: bool  # "from £75"
    price: str
    rest: str  # " for three days", or nothing

    @property
    def sentence(self) -> str:
        """`Single kayaks cost $32 for 3 hours`; empty where the thing needs an article or is nobody's purchase."""
        verb = ("start" if self.least else "cost") + ("s" if not is_plural(head(self.what)) else "")
        if not needs_no_article(head(self.what)) or head(self.what).lower() in _NOT_BOUGHT:
            return ""
        return f"{self.what} {verb}{' at' if self.least else ''} {self.price}{self.rest}"

    @property
    def number_first(self) -> str:
        """`$15 for tire rotation`: only where the price has no unit or condition behind it."""
        if self.rest or not self.sentence or self.what.split()[0].lower() in _NUMBERS | {"no"}:
            return ""
        return f"{'From ' if self.least else ''}{self.price} for {self.what[:1].lower()}{self.what[1:]}"


def priced(fact: str) -> Priced | None:
    found = _PRICED.fullmatch(fact)
    return Priced(found["what"], bool(found["least"]), found["price"], found["rest"]) if found else None


def head(phrase: str) -> str:
    """The noun that a phrase is about: `kayaks` of "tandem kayaks for two"."""
    words = phrase.split()
    ends = (at for at, word in enumerate(words) if at and (word.lower() in _HEAD_ENDS or _describes(words, at)))
    end = next(ends, len(words))
    return words[end - 1]


def _describes(words: list[str], at: int) -> bool:
    """A participle behind a plural belongs to it: `pushed` of "dents pushed out"."""
    return words[at].endswith("ed") and is_plural(words[at - 1])


def is_plural(noun: str) -> bool:
    return noun.lower().endswith("s") and not noun.lower().endswith(("ss", "us", "is"))


def needs_no_article(noun: str) -> bool:
    """`wide shoes`, `deposit help`; not `eviction lawyer`."""
    return is_plural(noun) or noun.lower() in _UNCOUNTED


def asked_for(subject: str) -> str:
    """The subject as a question asks for it, with its article: `a board game cafe`; empty where that is uncertain."""
    noun = head(subject).lower()
    if is_trouble(subject):
        return ""
    if needs_no_article(noun):
        return subject
    if noun in _COUNTED:
        return f"{'an' if subject[0].lower() in 'aeiou' else 'a'} {subject}"
    return ""


def is_trouble(subject: str) -> bool:
    """`leaking waders`: nobody looks for them or buys them."""
    return subject.split()[0].lower() in _TROUBLES


@lru_cache(maxsize=65536)
def content_words(text: str) -> frozenset[str]:
    """Words that carry meaning, without plural and -ing endings."""
    words = re.findall(r"[a-z0-9']+", text.lower().replace("-", " "))
    return frozenset(_stem(word) for word in words if word not in _SMALL and word not in _JOINS)


def _stem(word: str) -> str:
    for ending in ("ing", "es", "s", "ed", "er"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)].rstrip("e")
    return word.rstrip("e")


def subjects(prompt: Prompt) -> Iterator[str]:
    """Bidwords and the query, where they name what the advertiser has: no question, price hunting or order to buy.

    Searches are typed in small letters: names and abbreviations take the capitals that they have in the brief, and a
    place behind the thing is joined to it by `in`.
    """
    ad = prompt.brief.ad
    facts = content_words(". ".join((ad.advertiser, ad.business, *ad.selling_points, ad.landing_page)))
    names, places = proper_names(prompt), places_of(prompt)
    seen = set()
    for phrase in (*prompt.brief.bidwords, prompt.brief.query):
        words = [word for word in phrase.split() if word not in _STATES]
        plain = with_place(" ".join(words), places)
        if _QUESTION.search(phrase) or not 2 <= len(plain.split()) <= 6 or words[0] in _ORDERS:
            continue
        if phrase == prompt.brief.query and not _reads_as_a_phrase(plain):
            continue
        if len(content_words(plain) - facts) > 1 or not content_words(head(plain)) <= facts:
            continue  # the brief says nothing of it
        if plain not in seen:
            seen.add(plain)
            yield capitals_of_names(plain, names)


def _reads_as_a_phrase(query: str) -> bool:
    """A query that is more than a list of words: `binoculars for bird watching`, `pottery classes in Leeds`."""
    words = query.split()
    last = words[-1]
    return any(word in _JOINS for word in words[1:-1]) and (
        last[:1].isupper() or needs_no_article(last) or last.endswith("ing")
    )


def with_place(phrase: str, places: frozenset[str]) -> str:
    """`pottery classes in Leeds` of "pottery classes leeds"."""
    for name in places:
        if phrase.lower().endswith(f" {name.lower()}"):
            rest = phrase[: -len(name) - 1]
            return f"{rest} {name}" if rest.split()[-1] in _JOINS else f"{rest} in {name}"
    return phrase


def in_place(business: str) -> str:
    """`in Leeds` of "Plumbers in Leeds and around": empty where the business names no place."""
    match = _PLACE.search(business)
    return f"{match[1]} {match[2]}" if match else ""


def places_of(prompt: Prompt) -> frozenset[str]:
    ad = prompt.brief.ad
    return frozenset(found[2] for fact in (ad.business, *ad.selling_points) for found in _PLACE.finditer(fact))


def proper_names(prompt: Prompt) -> frozenset[str]:
    ad = prompt.brief.ad
    return frozenset(_NAME.findall(". ".join((ad.business, *ad.selling_points, ad.landing_page))))


def capitals_of_names(phrase: str, names: frozenset[str]) -> str:
    """The phrase with every whole name in its own capitals: `Llangollen Canal`, but `canal boats`."""
    words = phrase.split()
    for name in sorted(names, key=len, reverse=True):
        parts = name.split()
        for start in range(len(words) - len(parts) + 1):
            if [word.lower() for word in words[start : start + len(parts)]] == [part.lower() for part in parts]:
                words[start : start + len(parts)] = parts
    return " ".join(_CAPITALS.get(word, word) for word in words)


def title_case(words: str) -> str:
    """Headline style: every word has a capital, except small ones inside; names and numbers keep their form."""
    parts = words.split()
    return " ".join(
        part if at and part.lower() in _SMALL and at < len(parts) - 1 else _capital_parts(part)
        for at, part in enumerate(parts)
    )


def _capital_parts(word: str) -> str:
    pieces = word.split("-")
    return "-".join(
        piece if at and piece in _SMALL | {"in"} else piece[:1].upper() + piece[1:] for at, piece in enumerate(pieces)
    )


def sentence_case(words: str) -> str:
    return words[:1].upper() + words[1:]


def lower_start(words: str, prompt: Prompt) -> str:
    """The fact inside a sentence: its first word small; empty where that word may be a name."""
    first = re.split(r"[\s-]", words)[0]
    ad = prompt.brief.ad
    told = f" {ad.business[:1].lower()}{ad.business[1:]} {ad.landing_page} {' '.join(ad.selling_points)} "
    told += " ".join((*prompt.brief.bidwords, prompt.brief.query)) + " "
    ordinary = {word.strip(".,;:") for word in re.split(r"[\s-]", told) if word[:1].islower()}
    if first[:1] in "£$0123456789":
        return words
    if (first.isupper() and len(first) > 1) or first in {name.split()[0] for name in proper_names(prompt)}:
        return ""
    return words[:1].lower() + words[1:] if first.lower() in _LOWERED | ordinary else ""


def counts_first(fact: str) -> bool:
    """The fact begins with a number: `Six students per class`, `Over 300 tartans in stock`."""
    return fact.split()[0].lower() in _NUMBERS or fact[:1].isdigit()


def repeats(title: str, sentence: str) -> bool:
    """Title and sentence say the same: three quarters of the shorter one's words, and two at least, are in both."""
    in_title, in_sentence = content_words(title), content_words(sentence)
    return len(in_title & in_sentence) >= max(2, 0.75 * min(len(in_title), len(in_sentence)))


def stammers(text: str) -> bool:
    """The same word twice in a row, or the same pair of words twice."""
    words = re.findall(r"[a-z']+", text.lower())
    pairs = [pair for pair in pairwise(words) if not set(pair) & (_SMALL | _JOINS)]
    return any(a == b for a, b in pairwise(words)) or len(set(pairs)) < len(pairs)
