"""`/experiments`: create, start, ramp, reweigh, stop. Reading needs scope `report`, changing `ops`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from app.container import Container, ContainerDep
from app.core.contract import Slug
from app.core.defaults import PLANNED_UNITS, WINDOW_HOURS
from app.core.problems import documented
from app.http.auth import actor, require
from app.services.experiments import lifecycle
from app.services.experiments.buckets import buckets_of
from app.services.experiments.lifecycle import ArmWish, AuditRecord, ExperimentRecord
from app.store.database import AsyncConnection
from app.store.registry import Key

router = APIRouter(prefix="/experiments", tags=["experiments"])

Reader = Annotated[Key, Depends(require("report", "ops"))]
Operator = Annotated[Key, Depends(require("ops"))]
Name = Annotated[Slug, Path(description="The experiment's name.")]
Weight = Annotated[
    float,
    Field(
        strict=True,
        ge=0,
        le=1e9,
        allow_inf_nan=False,
        description="Relative to the other arms: weights 1 and 1 give half each.",
    ),
]
Percent = Annotated[
    float,
    Field(
        strict=True, ge=0.01, le=100, allow_inf_nan=False, description="Share of the layer's units that are enrolled."
    ),
]


class ArmBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Slug
    policy: Annotated[
        str, Field(min_length=1, max_length=128, description="A policy version, or an alias, which is resolved now.")
    ]
    weight: Weight = 1.0


class ExperimentBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Slug
    layer: Slug = Field(default="default", description="Experiments of one layer exclude each other.")
    arms: Annotated[list[ArmBody], Field(min_length=2, max_length=8, description="The control comes first.")]
    coverage_percent: Percent = 100.0
    low: int | None = Field(
        default=None,
        strict=True,
        ge=0,
        lt=10_000,
        description="First bucket of the layer. Default: the first free range.",
    )
    high: int | None = Field(
        default=None,
        strict=True,
        gt=0,
        le=10_000,
        description="With low: one past the last bucket. Replaces coverage_percent.",
    )
    window_hours: int = Field(
        default=WINDOW_HOURS,
        strict=True,
        ge=1,
        le=90 * 24,
        description="Attribution window: later conversions do not count.",
    )
    planned_units: int = Field(
        default=PLANNED_UNITS,
        strict=True,
        ge=2,
        le=10**12,
        description="Units that all arms together should reach. The always-valid interval is tightest there.",
    )
    salt: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = Field(
        default=None, description="Default: a random salt."
    )

    @field_validator("high")
    @classmethod
    def _range(cls, high: int | None, info: ValidationInfo) -> int | None:
        low = info.data.get("low")
        if high is not None and (low is None or low >= high):
            raise ValueError(f"high {high} needs a low below it: the range is [low, high)")
        return high

    @property
    def coverage(self) -> int:
        """The number of buckets, of 10,000."""
        if self.high is not None and self.low is not None:
            return self.high - self.low
        return buckets_of(self.coverage_percent)


class RampBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    coverage_percent: Percent

    @property
    def coverage(self) -> int:
        """The number of buckets, of 10,000."""
        return buckets_of(self.coverage_percent)


class WeightsBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    weights: Annotated[
        list[Weight], Field(min_length=2, max_length=8, description="One weight per arm, in the order of the arms.")
    ]


class ExperimentArm(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    name: str
    policy: str
    weight: int = Field(description="Of 10,000.")


class PhaseAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    number: int
    salt: str
    arms: list[ExperimentArm]
    started_at: datetime | None
    ended_at: datetime | None


class ExperimentAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    layer: str
    state: Literal["draft", "running", "stopped"]
    low: int = Field(description="The experiment holds buckets [low, high) of the 10,000 of its layer.")
    high: int
    window_hours: int
    planned_units: int
    created_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    phases: list[PhaseAnswer]


class ExperimentPage(BaseModel):
    experiments: list[ExperimentAnswer]
    next: int | None = Field(description="Send it as `after` for the next page; null on the last page.")


class AuditAnswer(BaseModel):
    at: datetime
    actor: str
    action: str
    detail: dict[str, Any]


class ExperimentDetail(ExperimentAnswer):
    audit: list[AuditAnswer] = Field(description="All changes, latest first.")

    @classmethod
    def of(cls, record: ExperimentRecord, audit: list[AuditRecord]) -> ExperimentDetail:
        entries = [
            AuditAnswer(at=record.at, actor=record.actor, action=record.action, detail=dict(record.detail))
            for record in audit
        ]
        return cls(**ExperimentAnswer.model_validate(record).model_dump(), audit=entries)


@router.post("", status_code=201, responses=documented(404, 409))
async def create(body: ExperimentBody, container: ContainerDep, key: Operator) -> ExperimentAnswer:
    """Create a draft experiment. No unit is assigned before it is started."""
    arms = [ArmWish(arm.name, arm.policy, arm.weight) for arm in body.arms]
    return await _change(
        container,
        lambda connection: lifecycle.create(
            connection,
            name=body.name,
            arms=arms,
            layer=body.layer,
            coverage=body.coverage,
            low=body.low,
            window_hours=body.window_hours,
            planned_units=body.planned_units,
            salt=body.salt,
            actor=actor(key),
        ),
    )


@router.get("", responses=documented())
async def list_all(
    container: ContainerDep,
    _: Reader,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ExperimentPage:
    """All experiments, oldest first."""
    async with container.database.begin() as connection:
        found = await lifecycle.listed(connection, after=after, limit=limit + 1)
    shown = found[:limit]
    return ExperimentPage(
        experiments=[ExperimentAnswer.model_validate(experiment) for experiment in shown],
        next=shown[-1].id if len(found) > limit else None,
    )


@router.get("/{name}", responses=documented(404))
async def read(name: Name, container: ContainerDep, _: Reader) -> ExperimentDetail:
    """One experiment with its phases and its history of changes."""
    async with container.database.begin() as connection:
        return ExperimentDetail.of(await lifecycle.find(connection, name), await lifecycle.history(connection, name))


@router.post("/{name}/start", responses=documented(404, 409))
async def start(name: Name, container: ContainerDep, key: Operator) -> ExperimentAnswer:
    """Start a draft. 409 when a running experiment of its layer holds some of its buckets."""
    return await _change(container, lambda connection: lifecycle.start(connection, name, actor=actor(key)))


@router.post("/{name}/ramp", responses=documented(404, 409))
async def ramp(name: Name, body: RampBody, container: ContainerDep, key: Operator) -> ExperimentAnswer:
    """Increase the coverage. Units already enrolled keep their arm."""
    return await _change(
        container, lambda connection: lifecycle.ramp(connection, name, coverage=body.coverage, actor=actor(key))
    )


@router.post("/{name}/weights", responses=documented(404, 409))
async def reweigh(name: Name, body: WeightsBody, container: ContainerDep, key: Operator) -> ExperimentAnswer:
    """Change the weights: opens a new phase and re-randomises its units. Each phase has its own report."""
    return await _change(
        container, lambda connection: lifecycle.reweigh(connection, name, weights=body.weights, actor=actor(key))
    )


@router.post("/{name}/stop", responses=documented(404, 409))
async def stop(name: Name, container: ContainerDep, key: Operator) -> ExperimentAnswer:
    """Stop the experiment permanently. Its report stays available, and events of served texts still count."""
    return await _change(container, lambda connection: lifecycle.stop(connection, name, actor=actor(key)))


async def _change(
    container: Container, change: Callable[[AsyncConnection], Awaitable[ExperimentRecord]]
) -> ExperimentAnswer:
    async with container.database.begin() as connection:
        changed = await change(connection)
    await container.state.refresh()  # the next request to this replica sees the change
    return ExperimentAnswer.model_validate(changed)
