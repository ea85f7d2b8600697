"""`/policies`: policy versions, and the aliases that decide which of them serves."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from adtext.brief import Locale
from app.container import ContainerDep
from app.core.problems import Problem, documented
from app.http.auth import actor, require
from app.policies.addresses import address_of, is_reserved
from app.routes.canaries import CanaryAnswer, answer_of
from app.services.registry import promotion, versions
from app.services.registry.golden import require_answers
from app.store import canaries
from app.store import policies as store
from app.store.audit import record
from app.store.registry import Key, policy_of
from trainer.gate_report import GateReport
from trainer.registry import Decoding

router = APIRouter(prefix="/policies", tags=["policies"])

Reader = Annotated[Key, Depends(require("report", "ops"))]
Operator = Annotated[Key, Depends(require("ops"))]
_LAST = 2**63 - 1
_Name = Annotated[str, Field(pattern=r"^[\w.-]{1,80}$")]
_Note = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f]+$")]
_MAX_FACTS = 200  # values of config and metrics


def _endpoint(value: str) -> str:
    """A base URL: http(s), a host where a policy server may run, no credentials, no query."""
    try:
        url = urlsplit(value)
        host, _ = url.hostname, url.port
    except ValueError as error:
        raise ValueError(f"is no URL ({error}): send one such as http://vllm-1:8000") from None
    if (
        url.scheme not in ("http", "https")
        or not host
        or not value.isascii()
        or not value.isprintable()
        or " " in value
    ):
        raise ValueError("must be an http or https URL with a host, such as http://vllm-1:8000")
    if (
        url.username is not None
        or url.password is not None
        or url.query
        or url.fragment
        or "?" in value
        or "#" in value
    ):
        raise ValueError("must hold no user, password, query or fragment: send the server's base URL only")
    address = address_of(host)
    if address is not None and is_reserved(address):
        raise ValueError(
            f"{host} is a link-local, multicast, unspecified or metadata address: no policy server can run there"
        )
    return value.rstrip("/")


class DecodingBody(BaseModel):
    """The sampling parameters; part of the policy's identity."""

    model_config = ConfigDict(extra="forbid")

    template: Literal["two-field"] = "two-field"
    examples: int = Field(default=0, strict=True, ge=0, le=2, description="Worked examples in the prompt.")
    temperature: float = Field(default=1.0, strict=True, ge=0, le=2, allow_inf_nan=False)
    top_p: float = Field(default=1.0, strict=True, gt=0, le=1, allow_inf_nan=False)
    max_tokens: int = Field(default=96, strict=True, ge=16, le=1024)
    structured: bool = Field(default=False, strict=True, description="Constrain the output to the template.")
    control_tokens: list[Annotated[str, Field(min_length=2, max_length=80)]] = Field(
        default=[],
        max_length=100,
        description="The tokenizer's control tokens that do not open with a bracket. Training lists them.",
    )


class PolicyBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9]{0,30}$", description="The prefix of the version's name, such as relate.")
    kind: Literal["vllm", "nlg"]
    locales: Annotated[
        list[Locale],
        Field(
            min_length=1,
            max_length=16,
            description="The locales that the policy can write; briefs in other locales use the fallback.",
        ),
    ]
    endpoint: Annotated[str, Field(max_length=400), AfterValidator(_endpoint)] | None = Field(
        default=None, description="Base URL of an OpenAI-compatible server. Default: the server of the deployment."
    )
    model: Annotated[str, Field(pattern=r"^[\w./:@-]{1,200}$")] | None = Field(
        default=None, validate_default=True, description="The model's name on that server."
    )
    decoding: DecodingBody = DecodingBody()
    parent: _Name | None = Field(default=None, description="The version that it was trained from.")
    digest: Annotated[str, Field(pattern=r"^[0-9A-Za-z@:._/-]{4,200}$")] | None = Field(
        default=None, description="Of its weights, as a gate report names them; part of the policy's identity."
    )
    artifact: _Note | None = Field(default=None, description="The folder or address that holds its weights.")
    snapshot: _Note | None = Field(default=None, description="Digest of the logs that it learned from.")
    config: dict[str, Any] = Field(default={}, max_length=_MAX_FACTS, description="The configuration of its training.")
    metrics: dict[_Note, float | None] = Field(
        default={}, max_length=_MAX_FACTS, description="What was measured after its training, by measure."
    )

    @field_validator("endpoint", "model")
    @classmethod
    def _as_its_kind_needs(cls, value: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("kind")
        if kind == "vllm" and info.field_name == "model" and value is None:
            raise ValueError("a vllm policy needs its model: the name that the server answers to")
        if kind == "nlg" and value is not None:
            raise ValueError("an nlg policy writes in this process: leave model and endpoint out")
        return value


class GateAnswer(BaseModel):
    """A decision of the gate."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    version: str
    champion: str = Field(description="What it was compared with, as the report names it.")
    passed: bool
    job_id: UUID | None = Field(description="The job that ran the gate; null: the report was sent in.")
    created_at: datetime


class PolicyAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    version: str
    kind: str
    locales: list[str]
    endpoint: str | None
    model: str | None
    decoding: dict[str, object]
    created_at: datetime
    aliases: list[str] = Field(
        default=[], description="The aliases that point to this version: champion, challenger, previous."
    )
    parent: str | None
    digest: str | None
    artifact: str | None
    snapshot: str | None
    config: dict[str, Any]
    metrics: dict[str, Any]
    canary: CanaryAnswer | None = Field(default=None, description="The latest canary; null: there was none.")
    gate: GateAnswer | None = Field(default=None, description="The latest decision of the gate; null: it never ran.")


class PolicyPage(BaseModel):
    policies: list[PolicyAnswer]
    next: int | None = Field(description="Send it as `before` for the next page; null on the last page.")


class PromoteBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: Literal["promote"]
    version: _Name = Field(description="The version as GET /policies lists it.")
    override_reason: Annotated[str, Field(min_length=10, max_length=400, pattern=r"^[^\x00-\x1f]+$")] | None = Field(
        default=None,
        description="Why a champion is promoted that has not passed the gate; it is kept in the audit log.",
    )


class RollBackBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: Literal["rollback"]


class AliasesAnswer(BaseModel):
    aliases: dict[str, str] = Field(description="Version by alias, after the change.")


class ServedAnswer(BaseModel):
    """A version that answers."""

    version: str
    model: str | None = Field(description="What its server calls it.")
    loaded: bool = Field(description="Whether this request loaded its adapter; false: the server had it already.")


@router.get("", responses=documented())
async def list_all(
    container: ContainerDep,
    _: Reader,
    before: Annotated[int, Query(ge=1, le=_LAST)] = _LAST,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> PolicyPage:
    """All policy versions, newest first."""
    async with container.database.begin() as connection:
        rows = await store.list_policies(connection, before, limit + 1)
        held = await store.aliases(connection)
        gates = await store.latest_gates(connection, [row.version for row in rows])
        ramps = await canaries.latest(connection, [row.version for row in rows])
    shown = [PolicyAnswer.model_validate(row) for row in rows[:limit]]
    for policy in shown:
        policy.aliases = sorted(alias for alias, version in held.items() if version == policy.version)
        if policy.version in gates:
            policy.gate = GateAnswer.model_validate(gates[policy.version])
        if policy.version in ramps:
            policy.canary = answer_of(ramps[policy.version])
    return PolicyPage(policies=shown, next=shown[-1].id if len(rows) > limit else None)


@router.post("", status_code=201, responses=documented(409))
async def register(body: PolicyBody, container: ContainerDep, key: Operator) -> PolicyAnswer:
    """Register a policy version. It is immutable. It serves once it is promoted or an experiment uses it."""
    given = body.model_dump()
    given["decoding"] = Decoding(**given["decoding"])
    given["made_from"] = versions.MadeFrom(**{each.name: given.pop(each.name) for each in fields(versions.MadeFrom)})
    async with container.database.begin() as connection:
        row = await versions.register(connection, **given, actor=actor(key))
    await container.state.refresh()
    return PolicyAnswer.model_validate(row)


@router.post("/{alias}", responses=documented(409))
async def move(
    alias: promotion.Movable,
    body: Annotated[PromoteBody | RollBackBody, Field(discriminator="action")],
    container: ContainerDep,
    key: Operator,
) -> AliasesAnswer:
    """Promote a version to champion or challenger, or roll the champion back to the previous one. The change takes
    effect at once on every replica.

    The version must write for its golden prompts, and a champion must have passed the gate.
    """
    if isinstance(body, PromoteBody):
        after = await container.promotions.promote(
            alias, body.version, actor=actor(key), override_reason=body.override_reason
        )
    else:
        after = await container.promotions.roll_back(alias, actor=actor(key))
    return AliasesAnswer(aliases=after)


@router.post("/{version}/serve", responses=documented(404, 409))
async def serve(version: _Name, container: ContainerDep, key: Operator) -> ServedAnswer:
    """Load the LoRA adapter of a version into the running server, under the version's model name, and let it write for
    its golden prompts. Full weights need a server of their own.
    """
    async with container.database.begin() as connection:
        row = await store.find_policy(connection, version)
    if row is None:
        raise promotion.unknown_policy(version, 404)
    policy = policy_of(row)
    loaded = policy.kind == "vllm" and await container.adapters.serve(policy)
    await require_answers(container.clients, policy)
    if loaded:
        async with container.database.begin() as connection:
            await record(connection, actor(key), "policy.serve", f"policy:{version}", model=policy.model)
    return ServedAnswer(version=version, model=policy.model, loaded=loaded)


@router.post("/{version}/gate", status_code=201, responses=documented(404))
async def store_gate(version: _Name, body: GateReport, container: ContainerDep, key: Operator) -> GateAnswer:
    """Store a report of `relate evaluate gate` with the policy that it is about. The latest one decides whether the
    policy may become champion.
    """
    async with container.database.begin() as connection:
        row = await versions.store_gate_report(connection, version, body, actor=actor(key))
    return GateAnswer.model_validate(row)


@router.get("/{version}/gate", responses=documented(404))
async def read_gate(version: _Name, container: ContainerDep, _: Reader) -> GateReport:
    """The latest report of the gate about a policy."""
    async with container.database.begin() as connection:
        reports = await store.gate_reports(connection, version)
    if not reports:
        raise Problem(
            404, "gate_never_ran", f"the gate never ran for {version!r}: POST a report", field="version", value=version
        )
    return GateReport.model_validate(reports[0].report)
