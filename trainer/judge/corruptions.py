"""Good texts made wrong in a known way (the manner of FactCC, Kryściński et al. 2020).

A labelled text shows what the policies get wrong; a corruption shows one fault alone, beside its original. Each kind is
one function: it returns the corrupted text, or None where the text offers nothing to corrupt. English only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

from adtext.brief import AdText
from trainer.judge.slips import SLIPS
from trainer.judge.source import Corruption, Source

_NUMBER = re.compile(r"[$£€]?\d+(?:[.,]\d+)*%?")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+(?: [A-Z][a-z]+)*")
_IN_PLACE = re.compile(r"\b(in|near|around|from) ([A-Z][a-z]+(?: [A-Z][a-z]+)*)")
_PRICE = re.compile(r"[$£€][\d.,]*\d")
_OFFER_END = re.compile(r" (?:a|an|and|at|between|for|from|in|of|the|to|with)\b|[,:;(]|\W*[$£€\d]")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_NEGATION = re.compile(r"\b(?:no|not|never) |\bwithout(?= )", re.IGNORECASE)
_ASSERTION = re.compile(r"\b(?:is|are|can|will|has|have|includes?|comes?|costs?|free)\b")
_LINK = re.compile(r" (?:for|with|in|from|by|at|to|and|costs?|is|are) ")
_UNITS = {
    "minute": "hour", "hour": "day", "day": "week", "week": "month", "month": "year", "year": "month", "mile": "metre",
    "kg": "g", "g": "kg", "cm": "m", "mm": "cm", "ml": "l", "oz": "lb", "lb": "oz", "foot": "inch", "inch": "foot",
}  # fmt: skip
_UNIT = re.compile(rf"(?<=[0-9 ])({'|'.join(_UNITS)})(s?)\b")


def corrupt(kind: str, source: Source, random: Random) -> AdText | None:
    """The text corrupted in this way; None where that is not possible, or changes nothing."""
    made = {**UNTRUE, **UNREADABLE}[kind](source, random)
    return made if made is not None and made != source.text else None


def _in_description(text: AdText, changed: str) -> AdText:
    return text.model_copy(update={"description": changed})


def _replaced(value: str, match: re.Match[str], new: str) -> str:
    return value[: match.start()] + new + value[match.end() :]


def _number_moved(source: Source, random: Random) -> AdText | None:
    """A number of the text takes the place of another one of the brief: a price on the wrong thing."""
    found = list(_NUMBER.finditer(source.text.description))
    if not found:
        return None
    match = random.choice(found)
    form = re.sub(r"[\d.,]+", "", match.group())
    known = {
        number
        for fact in (*source.brief.ad.selling_points, source.brief.ad.landing_page)
        for number in (figure.group().rstrip(".,") for figure in _NUMBER.finditer(fact))
        if re.sub(r"[\d.,]+", "", number) == form and number != match.group()
    }
    if not known:
        return None
    return _in_description(source.text, _replaced(source.text.description, match, random.choice(sorted(known))))


def _price_moved(source: Source, random: Random) -> AdText | None:
    """A price of the brief beside the subject of the search, which it does not price."""
    ad = source.brief.ad
    prices = sorted({match.group().rstrip(".,") for match in re.finditer(r"[$£€]\d+(?:[.,]\d+)*", ad.landing_page)})
    priced = [
        price for price in prices
        if not any(word in _near(ad.landing_page, price) for word in re.findall(r"\w{4,}", source.brief.query.lower()))
    ]  # fmt: skip
    if not priced or re.search(r"[$£€]", source.text.title + source.text.description):
        return None
    return source.text.model_copy(update={"title": f"{source.text.title} for {random.choice(priced)}"})


def _title_swapped(source: Source, random: Random) -> AdText | None:
    """The name of one priced offer over a description that prices another one."""
    said = source.text.description
    if not _PRICE.search(said):
        return None
    names = [
        _OFFER_END.split(point)[0].strip() for point in source.brief.ad.selling_points
        if (price := _PRICE.search(point)) and price.group() not in said
    ]  # fmt: skip
    names = [name for name in names if 1 < len(name.split()) < 5 and name.lower() not in said.lower()]
    if not names:
        return None
    words = random.choice(names).split()
    return source.text.model_copy(update={"title": " ".join(f"{word[:1].upper()}{word[1:]}" for word in words)})


def _near(page: str, price: str) -> str:
    place = page.find(price)
    return page[max(place - 90, 0) : place + 60].lower()


def _facts_crossed(source: Source, random: Random) -> AdText | None:
    """The beginning of one fact with the end of another, joined at a linking word."""
    facts = [*source.brief.ad.selling_points, *_SENTENCE.split(source.brief.ad.landing_page)]
    first, second = random.choice(_SENTENCE.split(source.text.description)), random.choice(facts)
    heads, tails = list(_LINK.finditer(first)), list(_LINK.finditer(second))
    if not heads or not tails:
        return None
    head, tail = random.choice(heads), random.choice(tails)
    joined = f"{first[: head.start()]} {second[tail.start() + 1 :].rstrip('.')}."
    whole = " ".join((*source.brief.ad.selling_points, source.brief.ad.landing_page))
    if joined.rstrip(".") in whole or len(joined) < 20:
        return None
    return _in_description(source.text, source.text.description.replace(first, joined))


def _subject_dropped(source: Source, random: Random) -> AdText | None:
    """A sentence of the page that says `it` after a sentence about something else."""
    page = _SENTENCE.split(source.brief.ad.landing_page)
    leaning = [
        sentence
        for sentence in page[1:]
        if len(sentence) < 90 and re.match(r"(?:It|They|Each|This|That|One|Both)\b", sentence)
    ]
    points = [point.rstrip(".") for point in source.brief.ad.selling_points]
    if not leaning or not points:
        return None
    return _in_description(source.text, f"{random.choice(points)}. {random.choice(leaning)}")


def _foreign_place(source: Source, random: Random) -> AdText | None:
    """The place of another advertiser."""
    places = {
        match[2] for other in source.others for value in (other.ad.business, *other.ad.selling_points)
        for match in _IN_PLACE.finditer(value)
    }  # fmt: skip
    known = " ".join(source.brief.facts())
    places = {place for place in places if place not in known}
    found = list(_IN_PLACE.finditer(source.text.description))
    if not places:
        return None
    place = random.choice(sorted(places))
    if found:
        match = random.choice(found)
        return _in_description(source.text, _replaced(source.text.description, match, f"{match[1]} {place}"))
    return _in_description(source.text, re.sub(r"\.?$", f" in {place}.", source.text.description, count=1))


def _foreign_brand(source: Source, random: Random) -> AdText | None:
    """The name of another advertiser."""
    names = [other.ad.advertiser for other in source.others if other.ad.advertiser != source.brief.ad.advertiser]
    own, name = source.brief.ad.advertiser, random.choice(names)
    if own in source.text.description:
        return _in_description(source.text, source.text.description.replace(own, name))
    return _in_description(source.text, re.sub(r"\.?$", f" from {name}.", source.text.description, count=1))


def _foreign_fact(source: Source, random: Random) -> AdText | None:
    """One sentence gives way to a selling point of another advertiser."""
    parts = _SENTENCE.split(source.text.description)
    point = random.choice(
        random.choice([other for other in source.others if other.ad.selling_points]).ad.selling_points
    )
    parts[random.randrange(len(parts))] = f"{point.rstrip('.')}."
    return _in_description(source.text, " ".join(parts))


def _foreign_word(source: Source, random: Random) -> AdText | None:
    """One content word gives way to one of another advertiser."""
    found = list(re.finditer(r"\b[a-z]{5,}\b", source.text.description))
    known = " ".join(source.brief.facts()).lower()
    words = [
        word for point in random.choice(source.others).ad.selling_points for word in re.findall(r"\b[a-z]{5,}\b", point)
        if word not in known
    ]  # fmt: skip
    if not found or not words:
        return None
    return _in_description(source.text, _replaced(source.text.description, random.choice(found), random.choice(words)))


def _negation_dropped(source: Source, random: Random) -> AdText | None:
    found = list(_NEGATION.finditer(source.text.description))
    if not found:
        return None
    match = random.choice(found)
    changed = _replaced(source.text.description, match, "with" if match.group().lower() == "without" else "")
    return _in_description(source.text, changed[:1].upper() + changed[1:])


def _negation_added(source: Source, random: Random) -> AdText | None:
    found = list(_ASSERTION.finditer(source.text.description))
    if not found:
        return None
    match = random.choice(found)
    verb = match.group()
    if verb in ("is", "are", "can", "will"):
        new = f"{verb} not"
    elif verb == "free":
        new = "no free"
    else:
        new = f"never {verb}"
    return _in_description(source.text, _replaced(source.text.description, match, new))


def _unit_changed(source: Source, random: Random) -> AdText | None:
    found = list(_UNIT.finditer(source.text.description))
    if not found:
        return None
    match = random.choice(found)
    return _in_description(source.text, _replaced(source.text.description, match, _UNITS[match[1]] + match[2]))


def _words_shuffled(source: Source, random: Random) -> AdText | None:
    words = source.text.description.rstrip(".").split()
    if len(words) < 6:
        return None
    start = random.randrange(len(words) - 4)
    part = words[start : start + 5]
    random.shuffle(part)
    return _in_description(source.text, " ".join([*words[:start], *part, *words[start + 5 :]]) + ".")


def _word_dropped(source: Source, random: Random) -> AdText | None:
    words = source.text.description.split()
    inner = [at for at, word in enumerate(words[1:-1], start=1) if word.lower() in _NEEDED]
    if not inner:
        return None
    del words[random.choice(inner)]
    return _in_description(source.text, " ".join(words))


_NEEDED = frozenset("is are a an the of for in with to from by at on your our we you and".split())


def _words_repeated(source: Source, random: Random) -> AdText | None:
    words = source.text.description.split()
    if len(words) < 5:
        return None
    start, length = random.randrange(len(words) - 3), random.choice((1, 1, 2, 3))
    end = start + length
    return _in_description(source.text, " ".join([*words[:end], *words[start:end], *words[end:]]))


def _misspelt(source: Source, random: Random) -> AdText | None:
    found = list(re.finditer(r"\b[A-Za-z]{6,}\b", source.text.description))
    if not found:
        return None
    match = random.choice(found)
    word = match.group()
    at = random.randrange(1, len(word) - 2)
    changed = random.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return _in_description(source.text, _replaced(source.text.description, match, changed))


def _cut_off(source: Source, random: Random) -> AdText | None:
    words = source.text.description.rstrip(".").split()
    if len(words) < 7:
        return None
    return _in_description(source.text, " ".join(words[: -random.randrange(1, 4)]) + random.choice((".", "")))


UNTRUE: Mapping[str, Corruption] = {
    "number_moved": _number_moved,
    "price_moved": _price_moved,
    "title_swapped": _title_swapped,
    "facts_crossed": _facts_crossed,
    "subject_dropped": _subject_dropped,
    "foreign_place": _foreign_place,
    "foreign_brand": _foreign_brand,
    "foreign_fact": _foreign_fact,
    "foreign_word": _foreign_word,
    "negation_dropped": _negation_dropped,
    "negation_added": _negation_added,
    "unit_changed": _unit_changed,
}
UNREADABLE: Mapping[str, Corruption] = {
    "words_shuffled": _words_shuffled,
    "word_dropped": _word_dropped,
    "words_repeated": _words_repeated,
    "misspelt": _misspelt,
    "cut_off": _cut_off,
    **SLIPS,
}
# what any reader sees at once; a slip, or the title of another offer, is sometimes harmless
CLEAR = frozenset({**UNTRUE, **UNREADABLE}) - {*SLIPS, "title_swapped"}
