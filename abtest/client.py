"""A client of the report endpoint for notebooks.

import abtest
result = abtest.report("http://localhost:8080", "title-test", key="rk_…")
result            # a table
result.plot()     # the lifts on one axis, and their trend over the days
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from abtest.document import MetricAnswer, Rate, Report
from abtest.lift import Lift
from abtest.verdict import interval, percent

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_COLUMNS = ("arm", "metric", "control", "treatment", "change", "interval", "p")


class NotebookReport(Report):
    """A fetched report: a table where a notebook displays it, a data frame, a figure."""

    def table(self) -> pd.DataFrame:
        """The rows as a pandas data frame."""
        import pandas

        return pandas.DataFrame(self.rows())

    def plot(self) -> go.Figure:
        """The lifts on one axis centred at zero, and the cumulative ΔCTCVR with its always-valid band."""
        from abtest.plots import report_figure

        return report_figure(self)

    def _repr_html_(self) -> str:
        banners = Markup().join(
            Markup("<p><strong>{}</strong></p>").format(banner.sentence)
            for banner in self.banners
            if banner.level != "note"
        )
        head = Markup().join(Markup("<th>{}</th>").format(name) for name in _COLUMNS)
        body = Markup().join(
            Markup("<tr>{}</tr>").format(Markup().join(Markup("<td>{}</td>").format(cell) for cell in _cells(metric)))
            for metric in self.metrics
        )
        table = Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, body)
        return str(banners + Markup("<p>{}</p><p>{}</p>").format(self.headline, self.decision) + table)


def report(
    url: str,
    experiment: str,
    *,
    key: str,
    as_of: datetime | None = None,
    phase: int | None = None,
    view: Literal["valid", "all"] = "valid",
    tz: str = "UTC",
    timeout: float = 60.0,
) -> NotebookReport:
    """Fetch an experiment's report.

    key: an API key with scope `report`. as_of: a time with an offset, not in the future; default: now. phase:
    default: the latest. Raises ValueError with the service's message when the request fails.
    """
    import httpx

    parameters = {"as_of": as_of.isoformat() if as_of else None, "phase": phase, "view": view, "tz": tz}
    response = httpx.get(
        f"{url.rstrip('/')}/experiments/{experiment}/report",
        params={name: value for name, value in parameters.items() if value is not None},
        headers={"Authorization": f"Bearer {key}"},
        timeout=timeout,
    )
    if response.is_error:
        problem = response.json() if "json" in response.headers.get("content-type", "") else {}
        raise ValueError(f"{url} answered {response.status_code}: {problem.get('detail', response.reason_phrase)}")
    return NotebookReport.model_validate_json(response.content)


def _cells(metric: MetricAnswer) -> tuple[str | Markup, ...]:
    lift = Lift(**metric.lift.model_dump())
    return (
        metric.arm,
        metric.metric.upper(),
        _rate(metric.control),
        _rate(metric.treatment),
        "–" if lift.value is None else percent(lift.value),
        interval(lift),
        "–" if lift.p_value is None else f"{lift.p_value:.3g}",
    )


def _rate(rate: Rate) -> Markup:
    value = "–" if rate.value is None else f"{rate.value:.3%}"
    return Markup("{}<br><small>{:,.0f} / {:,.0f}</small>").format(value, rate.numerator, rate.denominator)
