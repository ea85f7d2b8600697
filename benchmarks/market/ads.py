"""What the market shows when it shows search ads: references of invented advertisers, and rewordings of them, good and
bad.

A log of references alone cannot teach a policy: it holds nothing that a policy in training also writes. So each
query's references are joined crosswise and reworded into bait, questions, plain facts, cut, repeated, shuffled and
misplaced texts, all inside Google's lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, permutations

import numpy as np

from adtext.brief import AdBrief, AdText
from benchmarks.market.facts import Offer
from benchmarks.market.log import QUERIES, Stories
from trainer.prompts import Prompt
from trainer.snapshot import describe_ad, describe_text

TITLE, DESCRIPTION = 30, 90  # characters, google_rsa
_BAIT = (
    "You Won't Believe {}",
    "This Is Why {}",
    "Wait For {}...",
    "Guess What {}",
    "Amazing {}!",
    "The Secret Of {}",
    "Watch {}!",
)
_QUESTION = ("Need {}?", "Looking For {}?", "Who Does {}?", "Why {}?")
_ADDRESS = ("Your {}", "{} For You", "We Do {}", "My {}", "{} With Us")
_CLOSING = (
    "You will never guess the price!",
    "Everyone is talking about it.",
    "Wait until you see this...",
    "Ask us anything.",
)
_TIMES = 2  # each rewording, for every query

Reword = Callable[[AdBrief, AdText, AdText, np.random.Generator], tuple[str, str]]


def ad_stories(prompts: Sequence[Prompt], seed: int = 0) -> Stories:
    """Texts of every advertiser, a group each; a text competes for the query it was written for and for the
    advertiser's next one.
    """
    rng = np.random.default_rng(seed)
    entries: dict[tuple[str, str], tuple[str, tuple[str, ...], Offer]] = {}
    for ad, mine in groupby(prompts, key=lambda prompt: prompt.brief.ad):
        own = list(mine)
        searches = tuple(dict.fromkeys(word for prompt in own for word in prompt.brief.bidwords))
        offer = replace(Offer.of(own[0].brief), searches=searches)
        others = [prompt for prompt in prompts if prompt.brief.ad.id != ad.id] or own
        for number, prompt in enumerate(own):
            asked = tuple(own[(number + step) % len(own)].brief.query for step in range(QUERIES))
            for text in rewordings(prompt, others[int(rng.integers(len(others)))], rng):
                entries.setdefault((ad.advertiser, describe_text(text)), (describe_ad(ad), asked, offer))
    groups, texts = zip(*entries, strict=True)
    ads, queries, offers = zip(*entries.values(), strict=True)
    return Stories(texts, ads, groups, queries, offers)


def rewordings(prompt: Prompt, other: Prompt, rng: np.random.Generator) -> Iterator[AdText]:
    """The references, their crossings, and what is made of them; other: an advertiser whose texts do not belong
    here.
    """
    references = prompt.references
    yield from references
    for first, second in permutations(references, 2):
        yield AdText(title=first.title, description=second.description)
    for reword in _REWORDINGS:
        for _ in range(_TIMES):
            first, second = (references[int(at)] for at in rng.integers(0, len(references), 2))
            title, description = reword(prompt.brief, first, second, rng)
            yield AdText(title=_within(title, TITLE), description=_within(description, DESCRIPTION))
    stray = other.references[int(rng.integers(len(other.references)))]
    yield stray
    yield AdText(title=references[0].title, description=stray.description)


def _bait(brief: AdBrief, first: AdText, _: AdText, rng: np.random.Generator) -> tuple[str, str]:
    return _framed(_BAIT, _subject(brief, rng), rng), first.description


def _baited_ending(_: AdBrief, first: AdText, second: AdText, rng: np.random.Generator) -> tuple[str, str]:
    return first.title, f"{_within(second.description, DESCRIPTION // 2)} {_one_of(_CLOSING, rng)}"


def _question(brief: AdBrief, first: AdText, _: AdText, rng: np.random.Generator) -> tuple[str, str]:
    return _framed(_QUESTION, _subject(brief, rng), rng), first.description


def _address(brief: AdBrief, first: AdText, _: AdText, rng: np.random.Generator) -> tuple[str, str]:
    return _framed(
        _ADDRESS, _subject(brief, rng), rng
    ), f"You get {first.description[:1].lower()}{first.description[1:]}"


def _plain_facts(brief: AdBrief, first: AdText, _: AdText, rng: np.random.Generator) -> tuple[str, str]:
    facts = [*brief.ad.selling_points, brief.ad.business]
    chosen = rng.permutation(len(facts))[:3]
    return _one_of((_subject(brief, rng), first.title), rng), ". ".join(facts[at] for at in chosen if facts[at])


def _named(brief: AdBrief, first: AdText, _: AdText, rng: np.random.Generator) -> tuple[str, str]:
    return brief.ad.advertiser, f"{_subject(brief, rng)}. {first.description}"


def _swapped_halves(_: AdBrief, first: AdText, second: AdText, rng: np.random.Generator) -> tuple[str, str]:
    half = _within(first.description, int(rng.integers(30, 60)))
    return first.title, f"{half} {second.description[:1].lower()}{second.description[1:]}"


def _cut(_: AdBrief, first: AdText, second: AdText, rng: np.random.Generator) -> tuple[str, str]:
    words = second.description.split()
    kept = [word for word in words if rng.random() > 0.35] or words[:1]
    return first.title, " ".join(kept)


def _repeated(_: AdBrief, first: AdText, second: AdText, rng: np.random.Generator) -> tuple[str, str]:
    words = second.description.split()
    start = int(rng.integers(max(1, len(words) - 3)))
    return (
        first.title,
        f"{' '.join(words[start : start + 3])} {second.description}"
        if rng.random() < 0.5
        else f"{first.title} {first.title}. {first.title}",
    )


def _shuffled(_: AdBrief, first: AdText, second: AdText, rng: np.random.Generator) -> tuple[str, str]:
    return first.title, " ".join(rng.permutation(second.description.split()))


_REWORDINGS: tuple[Reword, ...] = (
    _bait,
    _baited_ending,
    _question,
    _address,
    _plain_facts,
    _named,
    _swapped_halves,
    _cut,
    _repeated,
    _shuffled,
)


def _subject(brief: AdBrief, rng: np.random.Generator) -> str:
    return _one_of((brief.query, *brief.bidwords), rng).title()


def _framed(frames: Sequence[str], subject: str, rng: np.random.Generator) -> str:
    return _one_of(frames, rng).format(subject)


def _one_of(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def _within(line: str, limit: int) -> str:
    """The line, cut after the last word that fits."""
    return line if len(line) <= limit else line[: limit + 1].rsplit(" ", 1)[0][:limit]
