"""How often the checks are right: labelled cases and real headlines, by category and by language.

    python -m benchmarks.compliance --data DIR                 # the folder that holds compliance_cases
    python -m benchmarks.compliance --data DIR --show          # every confusion, with what was found
    python -m benchmarks.compliance --data DIR --half 1        # one half of the cases: rules are tuned on half 0
    python -m benchmarks.compliance --cases tests/data/compliance/report.tsv     # a labelled table instead of the data

A case expects `block`, `review` or `pass`. Recall counts the cases that expect a block; a false alarm is a case that
expects a pass. Headlines of upworthy_headline_tests are innocent: each is checked as the only selling point of its
own brief. Intervals are Wilson's, 95 %. Goals: 90 % of the expected blocks blocked and 95 % caught, 3 % of the
innocent cases blocked and 5 % sent to review, 2 % and 3 % of the headlines.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

from rich.console import Console
from rich.table import Table

from adtext.brief import Ad, AdBrief, AdText
from adtext.checks import Finding, check
from adtext.rules import Rules, load_rules
from adtext.spec import load_spec
from benchmarks.record import record


@dataclass(frozen=True)
class Case:
    """One labelled text."""

    expected: str  # block, review or pass
    category: str
    text: AdText
    brief: AdBrief
    platform: str
    span_text: str | None  # what a finding should cover
    half: int  # 0 or 1, by a hash of text and brief: the halves stay the same whatever the order of the file


@dataclass(frozen=True)
class Judged:
    """A case and what the checks say of it."""

    case: Case
    findings: Sequence[Finding]

    @property
    def outcome(self) -> str:
        """The gravest severity: block, review or pass."""
        severities = {finding.severity for finding in self.findings}
        return "block" if "block" in severities else "review" if "review" in severities else "pass"

    @property
    def covers(self) -> bool:
        """True where a finding quotes the words that the case names."""
        return self.case.span_text is None or any(self.case.span_text in finding.quote for finding in self.findings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    measured = parser.add_mutually_exclusive_group(required=True)
    measured.add_argument("--data", type=Path, help="the folder that holds the data sets")
    measured.add_argument("--cases", type=Path, help="a table of labelled texts, its briefs.toml beside it")
    parser.add_argument("--half", type=int, choices=(0, 1), help="only one half of the labelled cases")
    parser.add_argument("--language", choices=("en", "zh", "ja"), help="only cases of one language")
    parser.add_argument("--show", action="store_true", help="list every confusion")
    parser.add_argument("--headlines", type=int, default=0, help="at most so many headlines (default: all)")
    parser.add_argument("--out", type=Path, help="where the result goes (default: benchmarks/results/compliance.json)")
    options = parser.parse_args()
    rules, console = load_rules(), Console(width=200)
    cases = [
        case
        for case in (load_table(options.cases) if options.cases else load_cases(options.data / LABELLED))
        if options.half in (None, case.half) and options.language in (None, case.brief.language)
    ]
    judged = [Judged(case, verdict(case, rules)) for case in cases]
    innocent = headline_cases(options.data, options.headlines) if options.data else []
    headlines = [Judged(case, verdict(case, rules)) for case in innocent]
    figures = {
        "languages": {
            language: summary(texts) for language, texts in grouped(judged, lambda text: text.case.brief.language)
        },
        "categories": {
            category: summary(texts) for category, texts in grouped(judged, lambda text: text.case.category)
        },
        "headlines": summary(headlines),
    }
    for name in ("languages", "categories"):
        console.print(table(name, figures[name]))
    if headlines:
        console.print(table("headlines", {"upworthy": figures["headlines"]}))
    if options.show:
        show(console, judged)
        show(console, headlines[:3000])
    if options.data and options.half is None and options.language is None and not options.headlines:
        packages = ("ahocorasick_rs", "regex", "opencc")
        console.print(f"written to {record('compliance', {'rules': rules.version, **figures}, packages, options.out)}")


LABELLED = Path("compliance_cases", "cases.jsonl")


def load_table(path: Path) -> list[Case]:
    """The labelled texts of a tab-separated table. `boots=` is the brief `boots` whose facts state the text itself."""
    briefs = tomllib.loads(path.with_name("briefs.toml").read_text(encoding="utf-8"))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [_case({**row, "brief": _brief(row, briefs), "platform": "generic", "span_text": None}) for row in rows]


def _brief(row: Mapping[str, str], briefs: Mapping[str, Any]) -> dict[str, Any]:
    name = row["brief"].removesuffix("=")
    facts = dict(briefs[name])
    query, bidwords, locale = facts.pop("query"), facts.pop("bidwords"), facts.pop("locale")
    if row["brief"] != name:
        facts["selling_points"] = [row["title"], row["description"], *facts["selling_points"]]
    return {"query": query, "bidwords": bidwords, "locale": locale, "ad": {"id": name, **facts}}


def load_cases(path: Path) -> list[Case]:
    """The labelled cases of a JSON Lines file."""
    return [_case(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _case(row: dict[str, Any]) -> Case:
    brief = json.dumps(row["brief"], ensure_ascii=False, sort_keys=True)
    return Case(
        half=int(sha256(f"{row['title']}\n{row['description']}\n{brief}".encode()).hexdigest(), 16) % 2,
        expected=row["expected"],
        category=row["category"],
        text=AdText(title=row["title"], description=row["description"]),
        brief=AdBrief.model_validate(row["brief"]),
        platform=row["platform"],
        span_text=row["span_text"],
    )


_TAG = re.compile(r"</?[a-z]+>")  # the archive's markup, which no reader saw


def headline_cases(data: Path, most: int = 0) -> list[Case]:
    """Every distinct headline of the publisher's tests, as the only selling point of its own brief."""
    with gzip.open(data / "upworthy_headline_tests" / "packages.csv.gz", "rt", encoding="utf-8", newline="") as file:
        headlines = sorted({_TAG.sub("", row["headline"]).strip() for row in csv.DictReader(file)})
    return [
        Case(
            expected="pass",
            category="headline",
            text=AdText(title="The daily story", description=headline),
            brief=AdBrief(
                query="the daily story",
                locale="en-US",
                ad=Ad(id="a1", advertiser="The Daily Story", selling_points=(headline,)),
            ),
            platform="generic",
            span_text=None,
            half=0,
        )
        for headline in (headlines[: most or None])
        if headline.isprintable() and 0 < len(headline) <= 200
    ]


def verdict(case: Case, rules: Rules) -> list[Finding]:
    """What the checks find. The length is another platform's business: a headline is no ad title."""
    findings = check(case.text, case.brief, load_spec(case.platform), rules)
    return [finding for finding in findings if case.category != "headline" or finding.rule != "too_long"]


def grouped(judged: Iterable[Judged], by: Any) -> Iterator[tuple[str, list[Judged]]]:
    groups: dict[str, list[Judged]] = {}
    for text in judged:
        groups.setdefault(by(text), []).append(text)
    return iter(sorted(groups.items()))


def summary(judged: Sequence[Judged]) -> dict[str, Any]:
    """Counts and shares with their intervals."""
    outcomes = Counter((text.case.expected, text.outcome) for text in judged)
    blocks = sum(count for (expected, _), count in outcomes.items() if expected == "block")
    innocent = sum(count for (expected, _), count in outcomes.items() if expected == "pass")
    named = [text for text in judged if text.case.span_text is not None]
    caught = outcomes["block", "block"] + outcomes["block", "review"]
    return {
        "blocked": share(outcomes["block", "block"], blocks),
        "caught": share(caught, blocks),
        "innocent_blocked": share(outcomes["pass", "block"], innocent),
        "innocent_to_review": share(outcomes["pass", "review"], innocent),
        "spans_exact": share(sum(text.covers for text in named), len(named)),
        "review_as_review": share(
            outcomes["review", "review"],
            sum(count for (expected, _), count in outcomes.items() if expected == "review"),
        ),
    }


def share(hits: int, of: int) -> dict[str, Any]:
    """A share with Wilson's 95 % interval (E. B. Wilson, JASA 1927)."""
    if not of:
        return {"hits": 0, "of": 0, "share": None, "low": None, "high": None}
    z = NormalDist().inv_cdf(0.975)
    p, scale = hits / of, 1 + z * z / of
    centre = (p + z * z / (2 * of)) / scale
    margin = z * sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / scale
    return {"hits": hits, "of": of, "share": p, "low": max(centre - margin, 0.0), "high": min(centre + margin, 1.0)}


def table(title: str, figures: dict[str, dict[str, Any]]) -> Table:
    columns = ("blocked", "caught", "innocent_blocked", "innocent_to_review", "spans_exact", "review_as_review")
    shown = Table(title, *(column.replace("_", " ") for column in columns))
    for name, row in figures.items():
        shown.add_row(name, *(_percent(row[column]) for column in columns))
    return shown


def _percent(part: dict[str, Any]) -> str:
    if part["share"] is None:
        return "-"
    return f"{part['share']:.1%} [{part['low']:.0%},{part['high']:.0%}] of {part['of']}"


def show(console: Console, judged: Iterable[Judged]) -> None:
    """One line for each confusion: expected, found, the text, the findings."""
    for text in judged:
        if text.outcome == text.case.expected and text.covers:
            continue
        case = text.case
        found = "; ".join(f"{finding.rule} {finding.quote!r} {finding.severity}" for finding in text.findings)
        facts = " | ".join(case.brief.ad.selling_points)
        console.print(
            f"{case.expected} -> {text.outcome} [{case.category}] {case.text.title} / {case.text.description}"
            f" <{case.span_text}> ({'=' if facts == case.text.description else facts}): {found}",
            markup=False,
            highlight=False,
        )


if __name__ == "__main__":
    main()
