"""`/policies`: policy versions, and the aliases that decide which of them serves."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from adtext.brief import Locale
from app.container import ContainerDep
from app.core.problems import documented
from app.http.auth import actor, require
from app.policies.addresses import address_of, is_reserved
from app.services.registry import promotion
from app.store import policies as store
from app.store.registry import Key
from trainer.registry import Decoding

router = APIRouter(prefix="/policies", tags=["policies"])

Reader = Annotated[Key, Depends(require("report", "ops"))]
Operator = Annotated[Key, Depends(require("ops"))]
_LAST = 2**63 - 1


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

    @field_validator("endpoint", "model")
    @classmethod
    def _as_its_kind_needs(cls, value: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("kind")
        if kind == "vllm" and info.field_name == "model" and value is None:
            raise ValueError("a vllm policy needs its model: the name that the server answers to")
        if kind == "nlg" and value is not None:
            raise ValueError("an nlg policy writes in this process: leave model and endpoint out")
        return value


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


class PolicyPage(BaseModel):
    policies: list[PolicyAnswer]
    next: int | None = Field(description="Send it as `before` for the next page; null on the last page.")


class PromoteBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: Literal["promote"]
    version: str = Field(pattern=r"^[\w.-]{1,80}$", description="The version as GET /policies lists it.")


class RollBackBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: Literal["rollback"]


class AliasesAnswer(BaseModel):
    aliases: dict[str, str] = Field(description="Version by alias, after the change.")


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
    shown = [PolicyAnswer.model_validate(row) for row in rows[:limit]]
    for policy in shown:
        policy.aliases = sorted(alias for alias, version in held.items() if version == policy.version)
    return PolicyPage(policies=shown, next=shown[-1].id if len(rows) > limit else None)


@router.post("", status_code=201, responses=documented(409))
async def register(body: PolicyBody, container: ContainerDep, key: Operator) -> PolicyAnswer:
    """Register a policy version. It is immutable. It serves once it is promoted or an experiment uses it."""
    given = body.model_dump()
    given["decoding"] = Decoding(**given["decoding"])
    async with container.database.begin() as connection:
        row = await promotion.register(connection, **given, actor=actor(key))
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
    """
    async with container.database.begin() as connection:
        if isinstance(body, PromoteBody):
            after = await promotion.promote(connection, alias, body.version, actor=actor(key))
        else:
            after = await promotion.roll_back(connection, alias, actor=actor(key))
    await container.state.refresh()
    return AliasesAnswer(aliases=after)
