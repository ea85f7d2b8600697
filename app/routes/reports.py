"""`/experiments/{name}/report`: as JSON, CSV or Parquet, and broken down by a property of the texts."""

from __future__ import annotations

import csv
import io
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Depends, Query, Response

from abtest.document import Breakdown, Report
from abtest.events import Instant
from app.container import Container, ContainerDep
from app.core.problems import Problem, documented
from app.routes.experiments import Name, Reader
from app.services.reports import breakdowns, reading
from app.store.sums import Dimension, View

router = APIRouter(prefix="/experiments", tags=["reports"])


class ReportQuery:
    """The query parameters of every format of the report."""

    def __init__(
        self,
        as_of: Annotated[
            Instant | None, Query(description="RFC 3339 with offset, not in the future. Default: now.")
        ] = None,
        tz: Annotated[
            str, Query(max_length=64, description="IANA name of the time zone of the times and days shown.")
        ] = "UTC",
        phase: Annotated[
            int | None, Query(ge=1, le=10_000, description="Default: the latest phase. Phases are never summed.")
        ] = None,
        view: Annotated[
            View, Query(description="valid excludes bots, prefetches and events reported as invalid.")
        ] = "valid",
    ) -> None:
        self.as_of, self.phase, self.view = as_of, phase, view
        try:
            self.zone = ZoneInfo(tz)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise Problem(
                422, "unknown_zone", f"{tz!r} is no IANA time zone: send one such as Asia/Tokyo", field="tz", value=tz
            ) from error


ReportQueryDep = Annotated[ReportQuery, Depends(ReportQuery)]


@router.get("/{name}/report", responses=documented(404))
async def report(name: Name, container: ContainerDep, _: Reader, asked: ReportQueryDep) -> Report:
    """The report of one phase with all events so far. Only mature impressions count; immature ones are shown
    separately.
    """
    return await _report(container, name, asked)


@router.get(
    "/{name}/report.csv",
    response_class=Response,
    responses={
        **documented(404),
        200: {"description": "One row per treatment and metric.", "content": {"text/csv": {}}},
    },
)
async def report_csv(name: Name, container: ContainerDep, _: Reader, asked: ReportQueryDep) -> Response:
    """The report's metric rows as CSV in UTF-8."""
    return _csv(await _report(container, name, asked))


@router.get(
    "/{name}/report.parquet",
    response_class=Response,
    responses={
        **documented(404),
        200: {"description": "One row per treatment and metric.", "content": {"application/vnd.apache.parquet": {}}},
    },
)
async def report_parquet(name: Name, container: ContainerDep, _: Reader, asked: ReportQueryDep) -> Response:
    """The report's metric rows as a Parquet file."""
    return _parquet(await _report(container, name, asked))


@router.get("/{name}/breakdowns/{dimension}", responses=documented(404))
async def breakdown(
    name: Name, dimension: Dimension, container: ContainerDep, _: Reader, asked: ReportQueryDep
) -> Breakdown:
    """CTCVR by locale, industry, platform or source. The query scans the exposures of the phase."""
    await container.aggregation.catch_up()
    async with container.database.begin() as connection:
        question = await reading.ask(
            connection, name, as_of=asked.as_of, phase=asked.phase, view=asked.view, zone=asked.zone
        )
        return await breakdowns.breakdown(connection, question, dimension)


async def _report(container: Container, name: str, asked: ReportQuery) -> Report:
    await container.aggregation.catch_up()
    async with container.database.begin() as connection:
        question = await reading.ask(
            connection, name, as_of=asked.as_of, phase=asked.phase, view=asked.view, zone=asked.zone
        )
        return await reading.report(connection, question)


def _csv(found: Report) -> Response:
    rows = found.rows()
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=_attached(found, "csv"))


def _parquet(found: Report) -> Response:
    import pyarrow as pa  # imported here: it would double the start time of the service
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(found.rows()), out)
    return Response(out.getvalue(), media_type="application/vnd.apache.parquet", headers=_attached(found, "parquet"))


def _attached(found: Report, suffix: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{found.experiment}-phase-{found.phase}.{suffix}"'}
