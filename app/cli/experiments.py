"""`relate experiments`: A/B tests, through the API of a running service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.client import URL, KeyOption, Service, UrlOption
from app.cli.errors import Refusal
from app.core.defaults import PLANNED_UNITS, WINDOW_HOURS

if TYPE_CHECKING:
    from rich.table import Table

    from abtest.document import Rate, Report

experiments = typer.Typer(no_args_is_help=True, help="Create, start, ramp, reweigh, stop, list and report A/B tests.")

Name = Annotated[str, typer.Argument(help="The experiment's name.")]


@experiments.command()
def create(
    name: Name,
    arm: Annotated[
        list[str],
        typer.Option(help="NAME=POLICY or NAME=POLICY:WEIGHT, the control first; POLICY is a version or an alias."),
    ],
    layer: Annotated[str, typer.Option(help="Experiments of one layer exclude each other.")] = "default",
    coverage: Annotated[
        float, typer.Option(help="Percent of the layer's units that are enrolled.", min=0.01, max=100)
    ] = 100.0,
    window_hours: Annotated[
        int, typer.Option(help="Attribution window: later conversions do not count.")
    ] = WINDOW_HOURS,
    planned_units: Annotated[int, typer.Option(help="Units all arms together should reach.")] = PLANNED_UNITS,
    start_now: Annotated[bool, typer.Option("--start", help="Start the experiment at once.")] = False,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Create a draft. No unit is assigned before it is started, which fixes the window, the planned units and the
    layer.

    Example: relate experiments create titles --arm control=champion --arm new=relate-20261122-1f3a9c --coverage 10
    --start
    """
    service = Service(url, key, "ops")
    wanted = {
        "name": name,
        "arms": [_arm(text) for text in arm],
        "layer": layer,
        "coverage_percent": coverage,
        "window_hours": window_hours,
        "planned_units": planned_units,
    }
    made = service.post("/experiments", wanted)
    _say(service.post(f"/experiments/{name}/start") if start_now else made)


@experiments.command()
def start(name: Name, url: UrlOption = URL, key: KeyOption = "") -> None:
    """Start a draft."""
    _say(Service(url, key, "ops").post(f"/experiments/{name}/start"))


@experiments.command()
def ramp(
    name: Name,
    percent: Annotated[
        float,
        typer.Argument(help="The new share of the layer's units, larger than the current one.", min=0.01, max=100),
    ],
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Increase coverage. Units already enrolled keep their arm."""
    _say(Service(url, key, "ops").post(f"/experiments/{name}/ramp", {"coverage_percent": percent}))


@experiments.command()
def weights(
    name: Name,
    weight: Annotated[
        list[float], typer.Argument(help="One weight per arm, in the order of the arms: 1 1 gives half each.")
    ],
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Change the weights: opens a new phase and re-randomises its units. Each phase has its own report."""
    _say(Service(url, key, "ops").post(f"/experiments/{name}/weights", {"weights": weight}))


@experiments.command()
def stop(name: Name, url: UrlOption = URL, key: KeyOption = "") -> None:
    """Stop an experiment permanently. Its report stays available, and events of served texts still count."""
    _say(Service(url, key, "ops").post(f"/experiments/{name}/stop"))


@experiments.command("list")
def list_all(url: UrlOption = URL, key: KeyOption = "") -> None:
    """List all experiments, oldest first."""
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "state", "layer", "buckets", "arms", "phases", box=None)
    for experiment in _pages(Service(url, key, "report")):
        arms = ", ".join(f"{arm['name']} {arm['weight'] / 100:g} %" for arm in experiment["phases"][-1]["arms"])
        table.add_row(
            experiment["name"],
            experiment["state"],
            experiment["layer"],
            f"{experiment['low']}-{experiment['high']}",
            arms,
            str(len(experiment["phases"])),
        )
    Console().print(table)


@experiments.command()
def report(
    name: Name,
    tz: Annotated[str, typer.Option(help="IANA name of the time zone of the times and days shown.")] = "UTC",
    phase: Annotated[int | None, typer.Option(help="Default: the latest phase. Phases are never summed.")] = None,
    view: Annotated[str, typer.Option(help="valid excludes bots and invalid traffic; all includes them.")] = "valid",
    as_of: Annotated[str | None, typer.Option(help="RFC 3339 with offset, not in the future. Default: now.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Show the report of an experiment: the verdict, which interval decides, each metric, and the other phases."""
    from rich.console import Console

    from abtest.document import Report

    answer = Service(url, key, "report").get(f"/experiments/{name}/report", tz=tz, phase=phase, view=view, as_of=as_of)
    if as_json:
        print(json.dumps(answer, ensure_ascii=False, indent=1))
        return
    found, console = Report.model_validate(answer), Console()
    for banner in found.banners:
        console.print(
            f"{banner.level}: {banner.sentence}",
            style="bold red" if banner.level == "alarm" else "yellow",
            markup=False,
        )
    console.print(found.headline, style="bold", markup=False)
    console.print(found.decision, markup=False)
    console.print(_table(found))
    for result in found.phase_results:
        if result.phase != found.phase:
            console.print(f"Phase {result.phase} (--phase {result.phase}): {result.headline}", markup=False)


def _table(report: Report) -> Table:
    from rich.table import Table

    from abtest.lift import Lift
    from abtest.verdict import interval, percent

    table = Table("arm", "metric", "control", "treatment", "change", "interval", "p", box=None)
    for metric in report.metrics:
        change = "–" if metric.lift.value is None else percent(metric.lift.value)
        p = "–" if metric.lift.p_value is None else f"{metric.lift.p_value:.3g}"
        limits = interval(Lift(**metric.lift.model_dump()))
        rates = _rate(metric.control), _rate(metric.treatment)
        table.add_row(metric.arm, metric.metric.upper(), *rates, change, limits, p)
    return table


def _rate(rate: Rate) -> str:
    value = "–" if rate.value is None else f"{rate.value:.3%}"
    return f"{value}  {rate.numerator:,.0f}/{rate.denominator:,.0f}"


def _arm(spelt: str) -> dict[str, Any]:
    """NAME=POLICY[:WEIGHT]."""
    name, equals, rest = spelt.partition("=")
    policy, _, weight = rest.partition(":")
    try:
        if not (name and equals and policy):
            raise ValueError
        return {"name": name, "policy": policy, "weight": float(weight or 1)}
    except ValueError:
        raise Refusal(
            f"--arm {spelt!r} is not NAME=POLICY or NAME=POLICY:WEIGHT, such as control=champion or new=champion:2"
        ) from None


def _pages(service: Service) -> Iterator[dict[str, Any]]:
    after: int | None = None
    while True:
        page = service.get("/experiments", after=after)
        yield from page["experiments"]
        after = page["next"]
        if after is None:
            return


def _say(experiment: dict[str, Any]) -> None:
    latest = experiment["phases"][-1]
    arms = ", ".join(f"{arm['name']} ({arm['policy']}) {arm['weight'] / 100:g} %" for arm in latest["arms"])
    share = (experiment["high"] - experiment["low"]) / 100
    print(
        f"{experiment['name']} is {experiment['state']}: {share:g} % of layer {experiment['layer']}, phase "
        f"{latest['number']}, {arms}"
    )
