"""Plain reference texts composed from an advertiser's own facts: what a small model can learn to write truthfully.

A written reference shows style, but it infers and turns phrases, and a small model that imitates it invents. A composed
one names the subject of the query and states one to three facts in the advertiser's own words. Every candidate is held
against the checks; `plain_references` picks texts that differ from each other. English and Chinese. Light: no torch.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

from adtext.brief import AdText
from adtext.checks import check
from adtext.ngrams import FrequentNgrams, distinct, diversity
from adtext.rules import Rules, load_rules
from adtext.spec import FieldSpec, measure
from trainer import plain_lines, plain_lines_zh
from trainer.plain_lines import Line
from trainer.plain_words import content_words, repeats, stammers
from trainer.prompts import ADVERTISERS, Prompt, load_prompts

_SHORTEST_TITLE = 0.3  # share of the limit
_SHORTEST_DESCRIPTION = 0.45  # share of the limit: a description that says next to nothing is no example to learn from
_PAIRS = 600  # looked at for one query
_TITLE_USES = 3  # texts of one query that share a title
_OFFER_TITLES = 2  # texts of one query whose title names an amount and nothing that was searched for: "£8 a Month"
_LEADS = frozenset({"subject", "name", "place", "ask"})  # what may stand in many titles of one query
_AMOUNT = re.compile(r"\d")
_BOOTSTRAP = 104  # prompts whose texts Diversity is measured on


@dataclass(frozen=True, slots=True)
class _Wording:
    """How one language composes."""

    titles: Callable[[Prompt], Iterator[Line]]
    descriptions: Callable[[Prompt], Iterator[Line]]
    content: Callable[[str], frozenset[str]]  # the units of a text that can answer a query
    repeats: Callable[[str, str], bool]  # whether a sentence says the title again
    stammers: Callable[[str], bool]
    sentence_ends: re.Pattern[str]


_WORDINGS: Mapping[str, _Wording] = {
    "en": _Wording(
        plain_lines.titles, plain_lines.descriptions, content_words, repeats, stammers, re.compile(r"(?<=[.?]) ")
    ),
    "zh": _Wording(
        plain_lines_zh.titles,
        plain_lines_zh.descriptions,
        plain_lines_zh.content,
        plain_lines_zh.repeats,
        plain_lines_zh.stammers,
        re.compile(r"[，。：？]"),
    ),
}


def plain_references(prompt: Prompt, rules: Rules, n: int, *, seed: int = 0) -> list[AdText]:
    """Up to n composed texts of one query, without any finding, each of another build, no two alike.

    seed: varies facts, order and pairing; the same seed gives the same texts.
    """
    wording = _WORDINGS.get(prompt.brief.language)
    if wording is None:
        raise ValueError(
            f"locale {prompt.brief.locale}: plain references are composed in English and Chinese (en, zh), not in "
            f"{prompt.brief.language}"
        )
    random = Random(f"{seed}/{prompt.brief.ad.id}/{prompt.brief.query}")
    wanted = frozenset(
        word for phrase in (prompt.brief.query, *prompt.brief.bidwords) for word in wording.content(phrase)
    )
    named = wanted | wording.content(prompt.brief.ad.business)
    worth = {
        pair: min(answers, 4) + random.random()
        for pair in _pairs(prompt, wording, random)
        if (answers := _answers(wanted, pair, wording)) > 0
    }
    chosen: list[AdText] = []
    used: Counter[str] = Counter()
    while worth and len(chosen) < n:
        best = max(worth, key=lambda pair: worth[pair] - pair.tedium(used))
        del worth[best]
        if used[f"title {best.title.text}"] >= _TITLE_USES or used[f"text {best.body.text}"]:
            continue
        apart = not named & wording.content(best.title.text)
        if apart and (used["offer in the title"] >= _OFFER_TITLES or not _AMOUNT.search(best.title.text)):
            continue  # "Email Lists" says nothing to somebody who searched for a club's software
        text = AdText(title=best.title.text, description=best.body.text)
        if check(text, prompt.brief, prompt.spec, rules) or distinct([*chosen, text]) <= len(chosen):
            continue
        chosen.append(text)
        used.update(trait for trait, _ in best.traits)
        used["offer in the title"] += apart
    return chosen


@dataclass(eq=False, slots=True)
class _Pair:
    """A title and a description, and what makes a second text like them tedious: traits with their weights."""

    title: Line
    body: Line
    traits: tuple[tuple[str, float], ...]

    def tedium(self, used: Counter[str]) -> float:
        return sum(weight * used[trait] for trait, weight in self.traits if trait in used)


def _pairs(prompt: Prompt, wording: _Wording, random: Random) -> list[_Pair]:
    """Titles with descriptions that say something else, in random order."""
    fields = prompt.spec.fields
    heads = _fitting(wording.titles(prompt), fields["title"], _SHORTEST_TITLE, wording)
    bodies = _fitting(wording.descriptions(prompt), fields["description"], _SHORTEST_DESCRIPTION, wording)
    pairs = [(title, body) for title in heads for body in bodies if _go_together(title, body, wording)]
    return [_Pair(title, body, _traits(title, body)) for title, body in random.sample(pairs, min(_PAIRS, len(pairs)))]


def _go_together(title: Line, body: Line, wording: _Wording) -> bool:
    if title.facts & body.facts or ("?" in title.text and "?" in body.text):
        return False
    return not any(wording.repeats(title.text, sentence) for sentence in wording.sentence_ends.split(body.text))


def _traits(title: Line, body: Line) -> tuple[tuple[str, float], ...]:
    states = () if title.facts & _LEADS else ((f"title states {sorted(title.facts)}", 0.8),)
    return (
        (f"title {title.text}", 1.2),
        *states,
        (f"title is {title.shape}", 0.6),
        (f"text {body.text}", 1.0),
        (f"text is {body.shape}", 0.9),
        *((fact, 0.5) for fact in sorted(title.facts | body.facts) if fact != "subject"),
    )


def _fitting(lines: Iterable[Line], limits: FieldSpec, least: float, wording: _Wording) -> list[Line]:
    shortest = max(limits.min, least * limits.max)
    unique = {
        line.text: line
        for line in lines
        if shortest <= measure(line.text, limits.mode) <= limits.max and not wording.stammers(line.text)
    }
    return list(unique.values())


def _answers(wanted: frozenset[str], pair: _Pair, wording: _Wording) -> int:
    """Words of the query that the pair mentions, the title's twice: what was searched for stands first."""
    return 2 * len(wanted & wording.content(pair.title.text)) + len(wanted & wording.content(pair.body.text))


def reference_diversity(texts: Sequence[tuple[Prompt, Sequence[AdText]]], *, seed: int = 0, rounds: int = 5) -> float:
    """Diversity (RELATE eq. 12) of reference texts, over bootstraps of 104 prompts; an n-gram counts by advertiser."""
    random, shares = Random(seed), []
    for _ in range(rounds):
        drawn = random.choices(texts, k=_BOOTSTRAP)
        by_advertiser: dict[str, list[AdText]] = defaultdict(list)
        briefs = {prompt.brief.ad.id: prompt.brief for prompt, _ in drawn}
        for prompt, written in drawn:
            by_advertiser[prompt.brief.ad.id] += written
        frequent = FrequentNgrams()
        for name, written in by_advertiser.items():
            frequent.observe(briefs[name], written)
        rows = [(text, prompt.brief) for prompt, written in drawn for text in written]
        shares.append(diversity([text for text, _ in rows], frequent, [brief for _, brief in rows]))
    return fmean(shares)


def write_prompts(out: Path, rules: Rules, *, composed: int, written: int, language: str = "en", seed: int = 0) -> int:
    """Write the training advertisers of a language to `out`, with `composed` plain and `written` written references per
    query.

    Returns the number of references. `relate train sft --prompts OUT` learns from the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    prompts = {
        (prompt.brief.ad.id, prompt.brief.query): prompt for prompt in load_prompts(language=language, split="train")
    }
    random, count = Random(seed), 0
    with (out / f"{language}.jsonl").open("w", encoding="utf-8") as file:
        for advertiser in training_advertisers(language):
            for query in advertiser["queries"]:
                prompt = prompts[advertiser["ad"]["id"], query["query"]]
                plain = plain_references(prompt, rules, composed, seed=seed)
                few = random.sample(query["references"], min(written, len(query["references"])))
                query["references"] = [*(text.model_dump(exclude_none=True) for text in plain), *few]
                count += len(query["references"])
            file.write(json.dumps(advertiser, ensure_ascii=False) + "\n")
    return count


def training_advertisers(language: str = "en") -> list[dict[str, Any]]:
    """The training advertisers of a language as they stand in their files."""
    rows = [
        json.loads(line)
        for file in sorted(ADVERTISERS.glob("*.jsonl"))
        for line in file.read_text("utf-8").splitlines()
    ]
    return [row for row in rows if row["split"] == "train" and row["locale"].startswith(language)]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.plain_references",
        description="Write the training advertisers with composed references, for `relate train sft --prompts`",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write en.jsonl or zh.jsonl into")
    parser.add_argument("--composed", type=int, default=8, help="plain references composed per query (default 8)")
    parser.add_argument("--written", type=int, default=1, help="written references kept per query (default 1)")
    parser.add_argument("--language", choices=sorted(_WORDINGS), default="en")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    count = write_prompts(
        given.out,
        load_rules(),
        composed=given.composed,
        written=given.written,
        language=given.language,
        seed=given.seed,
    )
    prompts = load_prompts(given.out, language=given.language)
    spread = reference_diversity([(prompt, prompt.references) for prompt in prompts])
    print(f"{count} references of {len(prompts)} queries in {given.out}, Diversity {spread:.3f}")


if __name__ == "__main__":
    main()
