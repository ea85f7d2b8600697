"""`POST /check`: would these texts be allowed?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from adtext.brief import AdBrief, AdText
from adtext.checks import Finding, Severity, check, is_compliant
from adtext.spec import load_spec
from app.container import ContainerDep
from app.core.contract import Platform
from app.core.problems import documented
from app.http.auth import require, require_advertiser
from app.store.registry import Key

router = APIRouter(tags=["compliance"])


class CheckRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    brief: AdBrief
    platform: Platform
    texts: Annotated[list[AdText], Field(min_length=1, max_length=50)]


class FindingAnswer(BaseModel):
    """One rule broken at one place."""

    rule: str
    field: str
    span: tuple[int, int] = Field(description="Half-open, in code points of the field's value.")
    quote: str
    severity: Severity = Field(description="block: never shown; review: a person decides first; warn: noted.")
    reason: str
    source: str = Field(description="The law or policy it rests on.")

    @classmethod
    def of(cls, finding: Finding) -> FindingAnswer:
        return cls(**asdict(finding))


class Judgement(BaseModel):
    compliant: bool = Field(description="No finding blocks.")
    findings: list[FindingAnswer] = Field(description="In reading order.")


class CheckAnswer(BaseModel):
    rules_version: str
    spec_version: str
    texts: list[Judgement] = Field(description="One for each text, in the order sent.")


@router.post("/check", responses=documented())
async def check_texts(
    body: CheckRequest, container: ContainerDep, key: Annotated[Key, Depends(require("generate", "review"))]
) -> CheckAnswer:
    """Check texts against a brief, by the same rules that decide what is served."""
    require_advertiser(key, body.brief.ad.advertiser, "brief.ad.advertiser")
    rules, spec = container.state.rules, load_spec(body.platform)
    judged = [check(text, body.brief, spec, rules) for text in body.texts]
    return CheckAnswer(
        rules_version=rules.version,
        spec_version=spec.version,
        texts=[
            Judgement(compliant=is_compliant(found), findings=[FindingAnswer.of(one) for one in found])
            for found in judged
        ],
    )
