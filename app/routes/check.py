"""`POST /check`: checks texts for compliance."""

from __future__ import annotations

from dataclasses import asdict
from time import perf_counter
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from adtext.brief import AdBrief, AdText, Line
from adtext.checks import Finding, Severity, examine, is_compliant
from adtext.rules import Rules
from adtext.spec import TextSpec, load_spec
from app.container import ContainerDep
from app.core.contract import Platform
from app.core.problems import Problem, documented
from app.http.auth import require, require_advertiser
from app.services.compliance.off_loop import crowded, weighed
from app.store.registry import Key

FINDINGS_OF_A_TEXT = 50
FINDINGS_OF_ALL = 500
QUOTE_CHARS = 200
MOST_S = 5.0  # seconds that the checks of one request may take

router = APIRouter(tags=["compliance"])


class CheckRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    brief: AdBrief
    platform: Platform
    advertiser: Annotated[Line, Field(min_length=1, max_length=80)] | None = Field(
        default=None, description="Whose own rules apply beside the packs; absent: those of brief.ad.advertiser."
    )
    texts: Annotated[list[AdText], Field(min_length=1, max_length=50)]


class FindingAnswer(BaseModel):
    """One rule that a text breaks, with its position."""

    rule: str
    field: str
    span: tuple[int, int] = Field(description="Half-open, in code points of the field's value.")
    quote: str = Field(description=f"The text at the span; at most the first {QUOTE_CHARS} characters.")
    severity: Severity = Field(
        description="block: the text is never shown; review: a person decides first; warn: only recorded."
    )
    reason: str
    source: str = Field(description="The law or policy behind the rule.")
    suggestion: str | None = Field(default=None, description="What to write instead, where there is something.")

    @classmethod
    def of(cls, finding: Finding) -> FindingAnswer:
        return cls(**asdict(finding) | {"quote": finding.quote[:QUOTE_CHARS]})


class ProofAnswer(BaseModel):
    """A claim that asks for proof, and the advertiser's evidence for it. It is no finding."""

    evidence: str = Field(description="The id of the evidence in the advertiser's own rules.")
    rule: str
    field: str
    span: tuple[int, int]
    quote: str


class Judgement(BaseModel):
    compliant: bool = Field(description="True where no finding blocks.")
    findings: list[FindingAnswer] = Field(
        description=f"In reading order, at most {FINDINGS_OF_A_TEXT} of a text and {FINDINGS_OF_ALL} of all texts."
    )
    more: int = Field(default=0, description="The number of findings that are not listed.")
    proofs: list[ProofAnswer] = Field(default=[], description="Claims that the advertiser's evidence proves.")


class CheckAnswer(BaseModel):
    rules_version: str
    spec_version: str
    texts: list[Judgement] = Field(description="One answer per text, in the order of the request.")


@router.post("/check", responses=documented())
async def check_texts(
    body: CheckRequest, container: ContainerDep, key: Annotated[Key, Depends(require("generate", "review"))]
) -> CheckAnswer:
    """Check texts against a brief with the rules that decide what is served."""
    require_advertiser(key, body.brief.ad.advertiser, "brief.ad.advertiser")
    if body.advertiser is not None:
        require_advertiser(key, body.advertiser, "advertiser")
    rules = container.state.rules_of(body.advertiser or body.brief.ad.advertiser)
    spec = load_spec(body.platform)
    chars = sum(map(len, body.brief.facts())) + sum(len(value) for text in body.texts for _, value in text.fields())
    try:
        if crowded():
            raise TimeoutError
        return await weighed(chars, lambda: check_all(body, spec, rules, until=perf_counter() + MOST_S))
    except TimeoutError:
        raise Problem(
            503,
            "overload",
            "these texts cannot be checked in time: send fewer texts at once",
            headers={"Retry-After": "1"},
        ) from None


def check_all(body: CheckRequest, spec: TextSpec, rules: Rules, *, until: float) -> CheckAnswer:
    """Each text's verdict, and as many findings as an answer holds. Raises TimeoutError past `until` (perf_counter)."""
    left, texts = FINDINGS_OF_ALL, []
    for text in body.texts:
        if perf_counter() > until:
            raise TimeoutError
        examined = examine(text, body.brief, spec, rules)
        found = examined.findings
        shown = found[: min(FINDINGS_OF_A_TEXT, left)]
        left -= len(shown)
        texts.append(
            Judgement(
                compliant=is_compliant(found),
                findings=[FindingAnswer.of(finding) for finding in shown],
                more=len(found) - len(shown),
                proofs=[ProofAnswer(**asdict(proof)) for proof in examined.proofs[:FINDINGS_OF_A_TEXT]],
            )
        )
    return CheckAnswer(rules_version=rules.version, spec_version=spec.version, texts=texts)
