"""`/rules`: the rules in force, and how operations soften one. Reading needs report, review or ops; changing ops."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from adtext.brief import Line
from app.container import ContainerDep
from app.core.problems import documented
from app.http.auth import actor, require
from app.services.compliance import catalogue
from app.services.compliance.rule_changes import switch_rule
from app.store.registry import Key

router = APIRouter(prefix="/rules", tags=["compliance"])

Reader = Annotated[Key, Depends(require("report", "review", "ops"))]
Operator = Annotated[Key, Depends(require("ops"))]


class PackAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    name: str
    version: str = Field(description="Short hash of the file.")
    source: str = Field(description="The law or policy; entries may name another.")
    entries: int


class RuleAnswer(BaseModel):
    """One rule, how it is applied, and how it fared in the last seven days."""

    model_config = ConfigDict(from_attributes=True)

    rule: str
    kind: str = Field(description="length, format, grounding or risk.")
    switch: Literal["review", "off"] | None = Field(description="null: as its pack says.")
    switchable: bool
    reason: str | None = Field(description="Why it is switched.")
    actor: str | None
    changed_at: datetime | None
    texts: int = Field(description="Kept texts of the last seven days that it has a finding in.")
    decided: int = Field(description="Of them, texts that a reviewer decided.")
    overruled: int = Field(description="Of those, texts that the reviewer approved all the same.")


class RulesAnswer(BaseModel):
    rules_version: str = Field(description="In force: the hash of packs, code, data and switches.")
    packs_version: str
    packs: list[PackAnswer]
    rules: list[RuleAnswer]


class EntryAnswer(BaseModel):
    """A term, family or pattern of a pack."""

    model_config = ConfigDict(from_attributes=True)

    term: str
    kind: Literal["term", "family", "pattern"]
    rule: str
    severity: str
    category: str
    languages: list[str] = Field(description="Empty: every language.")
    reason: str
    source: str
    suggestion: str | None = Field(description="What to write instead.")
    pack: str


class EntriesAnswer(BaseModel):
    entries: list[EntryAnswer]
    found: int = Field(description="How many there are; at most `limit` are listed.")


class SwitchBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    switch: Literal["review", "off"] | None = Field(
        description="review: its findings block nothing, a person decides; off: it finds nothing; null: as in its pack."
    )
    reason: Annotated[Line, Field(min_length=3, max_length=400, description="Why, for the audit log.")]


@router.get("", responses=documented())
async def list_rules(container: ContainerDep, key: Reader) -> RulesAnswer:
    """The packs and the rules in force, with every switch and with how reviewers decided."""
    async with container.database.begin() as connection:
        rules = await catalogue.standings(connection, container.state.rules, key.advertiser)
    return RulesAnswer(
        rules_version=container.state.rules.version,
        packs_version=container.state.packs.version,
        packs=[PackAnswer.model_validate(pack) for pack in catalogue.packs(container.state.rules)],
        rules=[RuleAnswer.model_validate(rule) for rule in rules],
    )


@router.get("/entries", responses=documented())
async def search_entries(
    container: ContainerDep,
    _: Reader,
    q: Annotated[str, Query(min_length=1, max_length=80, description="A term, a rule, a law or its article.")],
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> EntriesAnswer:
    """Entries of the packs whose term, rule, category, reason or source holds the words searched for."""
    entries = catalogue.search(container.state.rules, q)
    return EntriesAnswer(entries=[EntryAnswer.model_validate(entry) for entry in entries[:limit]], found=len(entries))


@router.put("/{rule}", responses=documented(404, 409))
async def put_rule(
    rule: Annotated[str, Path(max_length=60, description="As GET /rules lists it.")],
    body: SwitchBody,
    container: ContainerDep,
    key: Operator,
) -> RuleAnswer:
    """Switch a rule to review or off, or back. Every replica follows within a second, and the pool is checked again."""
    async with container.database.begin() as connection:
        await switch_rule(connection, container.state.packs, rule, body.switch, reason=body.reason, actor=actor(key))
    await container.state.refresh()
    async with container.database.begin() as connection:
        standings = await catalogue.standings(connection, container.state.rules, key.advertiser)
    return RuleAnswer.model_validate(next(standing for standing in standings if standing.rule == rule))
