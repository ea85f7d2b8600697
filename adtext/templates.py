"""Ad texts without a model: titles from bidwords and names, descriptions from whole selling points. Instant, in any
locale, never invents.

Only what the advertiser wrote is filled in, never the query, which is a stranger's text.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, permutations, product

from adtext.brief import Ad, AdBrief, AdText
from adtext.spec import FieldSpec, TextSpec, measure

_TITLES = {
    "en": ("{word} | {advertiser}", "{word} from {advertiser}", "{advertiser}: {word}", "{word}", "{advertiser}"),
    "zh": ("{word}｜{advertiser}", "{advertiser}{word}", "{word}，就来{advertiser}", "{word}", "{advertiser}"),
    "ja": ("{word}｜{advertiser}", "{advertiser}の{word}", "{word}なら{advertiser}", "{word}", "{advertiser}"),
}
_JOIN = {"en": (". ", "."), "zh": ("，", "。"), "ja": ("。", "。")}  # between two selling points, and at the end
_MOST = 24  # candidates looked at for one call


def compose(brief: AdBrief, spec: TextSpec, seed: int) -> Iterator[AdText]:
    """Texts that fit the platform, each title and description pair once, starting at a place the seed decides."""
    titles, descriptions = parts(brief, spec)
    pairs = list(islice(product(descriptions, titles), _MOST))
    # diagonal: neighbours differ in both fields
    pairs.sort(key=lambda pair: titles.index(pair[1]) + descriptions.index(pair[0]))
    start = seed % len(pairs) if pairs else 0
    for description, title in pairs[start:] + pairs[:start]:
        yield AdText(title=title, description=description)


def parts(brief: AdBrief, spec: TextSpec) -> tuple[list[str], list[str]]:
    """The titles and the descriptions that `compose` pairs."""
    titles = [title for title in _titles(brief) if _fits(title, spec.fields["title"])]
    return titles, list(_descriptions(brief.ad, brief.language, spec.fields["description"]))


def _titles(brief: AdBrief) -> Iterator[str]:
    words = [_title_case(word) if brief.language == "en" else word for word in brief.bidwords] or [brief.ad.business]
    seen = set()
    for template, word in product(_TITLES[brief.language], words):
        title = template.format(word=word, advertiser=brief.ad.advertiser)
        if word and title not in seen:
            seen.add(title)
            yield title


def _title_case(words: str) -> str:
    return " ".join(
        word if any(letter.isupper() for letter in word) else word[:1].upper() + word[1:] for word in words.split()
    )


def _descriptions(ad: Ad, language: str, limits: FieldSpec) -> Iterator[str]:
    """Two selling points, one, or the business with one: whole sentences only, never cut in the middle."""
    between, end = _JOIN[language]
    points = [point.rstrip(" .。！!") for point in ad.selling_points]
    combinations = [
        *permutations(points, 2),
        *((ad.business, point) for point in points),
        *((point,) for point in points),
        (ad.business,),
    ]
    for parts in combinations:
        line = between.join(part for part in parts if part) + end
        if all(parts) and _fits(line, limits):
            yield line


def _fits(value: str, limits: FieldSpec) -> bool:
    return limits.min <= measure(value, limits.mode) <= limits.max
