"""`/comparisons`: blind Good/Same/Bad comparisons of two policies. Annotators use the page."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from adtext.brief import Line, Locale
from app.container import ContainerDep
from app.core.problems import documented
from app.http.auth import actor, require
from app.services.compliance import comparisons as service
from app.services.compliance.comparison_results import Judged, Results, exported, results
from app.store import comparisons as store
from app.store.database import Database
from app.store.registry import Key

router = APIRouter(prefix="/comparisons", tags=["policies"])

Analysing = Annotated[Key, Depends(require("report", "ops"))]
ComparisonId = Annotated[int, Path(ge=1, le=2**62)]
Version = Annotated[Line, Field(min_length=1, max_length=128)]
MOST = 200  # comparisons of a list


class ComparisonBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    policy: Version = Field(description="The policy whose text is good where it is better.")
    baseline: Version
    pairs: Annotated[int, Field(ge=1, le=2000)] = service.PAIRS
    planted: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            description="Pairs with a known answer, of each kind: one side broken, and both sides the same. A reading "
            "counts when nine tenths of each kind are right.",
        ),
    ] = service.PLANTED
    locale: Locale | None = Field(default=None, description="Default: all.")
    name: Annotated[Line, Field(min_length=1, max_length=80)] | None = Field(
        default=None, description="What annotators see. Name no policy in it."
    )


class ComparisonOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    policy: str
    baseline: str
    actor: str
    created_at: datetime


class ComparisonList(BaseModel):
    comparisons: list[ComparisonOut]


class ReadingOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    annotator: str
    judged: int = Field(description="Pairs, without the planted ones.")
    caught: int = Field(description="Of `broken` planted pairs, where the sound side was preferred.")
    broken: int
    passed: int = Field(description="Of `alike` planted pairs, where `same` was said.")
    alike: int
    state: Literal["counts", "unfinished", "unreliable"]


class ResultsOut(ComparisonOut):
    pairs: int
    judged: int = Field(description="Pairs with a verdict of a reading that counts.")
    good: int
    same: int
    bad: int
    gsb: float | None = Field(description="(good - bad) / (good + same + bad); null without a pair.")
    low: float | None = Field(description="Exact interval of the sign test, 95 %.")
    high: float | None
    p_value: float = Field(description="Exact sign test, two-sided.")
    kappa: float | None = Field(description="Agreement beyond chance; null for fewer than two readings that count.")
    kappa_name: Literal["Cohen", "Fleiss"]
    readings: list[ReadingOut]


@router.post("", status_code=201, responses=documented(409))
async def create(
    body: ComparisonBody, container: ContainerDep, key: Annotated[Key, Depends(require("ops"))]
) -> ComparisonOut:
    """Draw pairs of texts that two policies serve for the same briefs, one pair per brief."""
    async with container.database.begin() as connection:
        wanted, withdrawn = service.Wanted(**body.model_dump()), container.state.registry.withdrawn
        row = await service.create(connection, wanted, withdrawn, actor(key))
    return ComparisonOut.model_validate(row)


@router.get("", responses=documented())
async def listing(container: ContainerDep, key: Analysing) -> ComparisonList:
    """The latest comparisons, newest first."""
    async with container.database.begin() as connection:
        rows = await store.latest(connection, key.id, MOST)
    return ComparisonList(comparisons=[ComparisonOut.model_validate(row) for row in rows])


@router.get("/{comparison_id}", responses=documented(404))
async def one(comparison_id: ComparisonId, container: ContainerDep, key: Analysing) -> ResultsOut:
    """Good, same and bad, the exact sign test, and how far annotators agree. Only readings that pass enough of the
    planted pairs count.
    """
    row, found = await result_of(container.database, comparison_id)
    said = found.preference
    return ResultsOut(
        **ComparisonOut.model_validate(row).model_dump(),
        pairs=found.pairs,
        judged=found.judged,
        good=said.good,
        same=said.same,
        bad=said.bad,
        gsb=said.value,
        low=said.low,
        high=said.high,
        p_value=said.p_value,
        kappa=found.kappa,
        kappa_name=found.kappa_name,
        readings=[ReadingOut.model_validate(reading) for reading in found.readings],
    )


async def result_of(database: Database, comparison_id: int) -> tuple[object, Results]:
    """The comparison and its results. Raises Problem where there is none."""
    async with database.begin() as connection:
        row = await service.found(connection, comparison_id)
        pairs = await store.pairs_of(connection, comparison_id)
        verdicts = await store.verdicts_of(connection, comparison_id)
    return row, results(pairs, verdicts)


class JudgedOut(BaseModel):
    """One verdict of one annotator."""

    model_config = ConfigDict(from_attributes=True)

    pair: UUID
    locale: str
    platform: str
    planted: str | None = Field(description="The known answer of a planted pair.")
    policy_title: str
    policy_description: str
    baseline_title: str
    baseline_description: str
    annotator: str
    verdict: Literal["good", "same", "bad"]
    reading: Literal["counts", "unfinished", "unreliable"]
    judged_at: datetime


class VerdictList(BaseModel):
    verdicts: list[JudgedOut]


async def _judged(database: Database, comparison_id: int) -> list[Judged]:
    async with database.begin() as connection:
        await service.found(connection, comparison_id)
        pairs = await store.pairs_of(connection, comparison_id)
        return list(exported(pairs, await store.verdicts_of(connection, comparison_id)))


@router.get("/{comparison_id}/verdicts", responses=documented(404))
async def verdicts(comparison_id: ComparisonId, container: ContainerDep, key: Analysing) -> VerdictList:
    """Every verdict with its two texts, those of readings that do not count too."""
    rows = await _judged(container.database, comparison_id)
    return VerdictList(verdicts=[JudgedOut.model_validate(row) for row in rows])


@router.get(
    "/{comparison_id}/verdicts.csv",
    response_class=Response,
    responses=documented(404) | {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def verdicts_csv(comparison_id: ComparisonId, container: ContainerDep, key: Analysing) -> Response:
    """The same as a CSV file."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([field.name for field in fields(Judged)])
    for row in await _judged(container.database, comparison_id):
        writer.writerow(asdict(row).values())
    return Response(file.getvalue(), media_type="text/csv")
