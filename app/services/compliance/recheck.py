"""A stored text, checked again by the rules in force."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from adtext.brief import AdBrief, AdText
from adtext.checks import Finding, check
from adtext.rules import Rules
from adtext.spec import load_spec
from app.store.texts import text_of


def brief_of(row: Any) -> AdBrief:
    """The brief that the text of a row with its brief's `body` was written for.

    Briefs are stored without approved texts. An advertiser's own text supports itself, as it did when it came.
    """
    brief = AdBrief.model_validate(row.body)
    if row.origin != "advertiser":
        return brief
    return brief.model_copy(update={"ad": brief.ad.model_copy(update={"approved": (text_of(row),)})})


def findings_of(row: Any, rules: Rules, text: AdText | None = None) -> list[Finding]:
    """The findings of a row's text, or of another text in its place."""
    return check(text or text_of(row), brief_of(row), load_spec(row.platform), rules)


def released(row: Any, findings: Sequence[Finding]) -> bool:
    """Whether a reviewer approved the text with every `review` finding that it has now."""
    return row.reviewed_by is not None and _asked(findings) <= {
        (finding["rule"], finding["quote"]) for finding in row.findings
    }


def needs_review(findings: Iterable[Finding]) -> bool:
    return any(finding.severity == "review" for finding in findings)


def _asked(findings: Iterable[Finding]) -> set[tuple[str, str]]:
    return {(finding.rule, finding.quote) for finding in findings if finding.severity == "review"}
