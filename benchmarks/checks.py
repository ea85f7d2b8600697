"""How long one text takes to check: title and description against 20,000 lexicon entries, the brief's facts warm.

    python -m benchmarks.checks                 # 20,000 entries, 5,000 checks a language
    python -m benchmarks.checks --entries 5000

Texts and briefs are the approved ads of examples/briefs.jsonl, each checked against its own brief, the landing page
brought to 250 words (Chinese: 500 characters); the packs are filled up with made-up terms. Goal: median <= 0.25 ms,
p99 <= 0.6 ms, wall clock. The thread's own processor time stands beside it (on a busy machine the two part), and the
first check of a brief, which reads its facts.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter_ns, thread_time_ns

from rich.console import Console
from rich.table import Table

from adtext.brief import AdBrief, AdText
from adtext.checks import check
from adtext.grounding import facts
from adtext.rules import Rules, load_rules
from adtext.spec import TextSpec, load_spec
from benchmarks.record import record

EXAMPLES = Path(__file__).parents[1] / "examples" / "briefs.jsonl"
MEDIAN_MS, P99_MS = 0.25, 0.6
PAGE_WORDS, PAGE_CHARS = 250, 500
LATIN, HAN = "abcdefghijklmnopqrstuvwxyz", [chr(code) for code in range(0x4E00, 0x5E00)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=20_000, help="lexicon entries in all (default: %(default)s)")
    parser.add_argument("--checks", type=int, default=5_000, help="checks a language (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="where the result goes (default: benchmarks/results/checks.json)")
    options = parser.parse_args()
    rules = rules_with(options.entries)
    figures = {language: measure(language, rules, options.checks) for language in ("en", "zh")}
    table = Table(
        "language",
        "median ms",
        "p99 ms",
        "CPU median",
        "CPU p99",
        "first check",
        title=f"check(), {len(rules.lexicon.entries):,} entries",
    )
    for language, row in figures.items():
        table.add_row(
            language,
            *(f"{row[name]:.3f}" for name in ("median_ms", "p99_ms", "cpu_median_ms", "cpu_p99_ms", "first_ms")),
        )
    console = Console()
    console.print(table)
    console.print(f"goal: median <= {MEDIAN_MS} ms, p99 <= {P99_MS} ms")
    packages = ("ahocorasick_rs", "regex", "opencc")
    console.print(
        f"written to {record('checks', {'entries': len(rules.lexicon.entries), **figures}, packages, options.out)}"
    )


def rules_with(entries: int) -> Rules:
    """The packaged packs, filled up with made-up terms, half of them English phrases and half Chinese ones."""
    chance = random.Random(20)
    missing = max(entries - len(load_rules().lexicon.entries), 0)
    phrases = [
        " ".join("".join(chance.choices(LATIN, k=chance.randint(3, 9))) for _ in range(2)) for _ in range(missing // 2)
    ]
    phrases += ["".join(chance.choices(HAN, k=chance.randint(3, 6))) for _ in range(missing - len(phrases))]
    with tempfile.TemporaryDirectory() as folder:
        terms = json.dumps(phrases, ensure_ascii=False)
        group = 'source = "made up"\n[[group]]\nrule = "misleading_claim"\nseverity = "block"\ncategory = "gimmick"\n'
        group += f'reason = "made up"\nterms = {terms}\n'
        group += f'hit = [{json.dumps(phrases[0])}]\nmiss = ["Boots and socks"]\n'
        Path(folder, "made_up.toml").write_text(group, encoding="utf-8")
        return load_rules(Path(folder))


def measure(language: str, rules: Rules, checks: int) -> dict[str, float]:
    """Median and p99 in ms over `checks` calls that go round the language's example ads."""
    spec = load_spec("google_rsa" if language == "en" else "baidu_search")
    cases = [
        (text.model_copy(update={"description_2": None}), brief)
        for brief in briefs(language)
        for text in brief.ad.approved
    ]
    first = [timed(text, brief, spec, rules)[0] for text, brief in cases[::2]]
    facts.cache_clear()
    for text, brief in cases:
        check(text, brief, spec, rules)
    wall, cpu = zip(*(timed(*cases[number % len(cases)], spec, rules) for number in range(checks)), strict=True)
    figures = {
        "median_ms": median(wall),
        "p99_ms": quantiles(wall, n=100)[98],
        "cpu_median_ms": median(cpu),
        "cpu_p99_ms": quantiles(cpu, n=100)[98],
    }
    return figures | {"first_ms": median(first), "ads": len(cases)}


def timed(text: AdText, brief: AdBrief, spec: TextSpec, rules: Rules) -> tuple[float, float]:
    """(wall, processor) ms of one check."""
    start, cpu = perf_counter_ns(), thread_time_ns()
    check(text, brief, spec, rules)
    return (perf_counter_ns() - start) / 1e6, (thread_time_ns() - cpu) / 1e6


def briefs(language: str) -> list[AdBrief]:
    """The example briefs of a language that have approved ads, each with a landing page of full length."""
    chosen = []
    for line in EXAMPLES.read_text(encoding="utf-8").splitlines():
        body = json.loads(line)["brief"]
        if body.get("locale", "").startswith(language) and body["ad"].get("approved") and "hostile" not in line:
            page = body["ad"].get("landing_page", "")
            body["ad"]["landing_page"] = padded(page, language)
            chosen.append(AdBrief.model_validate(body))
    return chosen


def padded(page: str, language: str) -> str:
    if language == "zh":
        return (page * (PAGE_CHARS // max(len(page), 1) + 1))[:PAGE_CHARS]
    words = page.split()
    return " ".join((words * (PAGE_WORDS // max(len(words), 1) + 1))[:PAGE_WORDS])


if __name__ == "__main__":
    main()
