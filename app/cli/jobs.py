"""`relate jobs`: background jobs, through the API of a running service."""

from __future__ import annotations

import json
from pathlib import Path
from time import sleep
from typing import Annotated, Any

import typer

from app.cli.client import URL, KeyOption, Service, UrlOption
from app.cli.errors import Refusal

jobs = typer.Typer(no_args_is_help=True, help="Start, list, show, cancel and retry jobs, and read their logs.")

JobId = Annotated[str, typer.Argument(metavar="JOB", help="A job's id, as `relate jobs list` shows it.")]
_UNFINISHED = ("waiting", "queued", "running")
_LOOK_S = 2.0


@jobs.command()
def run(
    kind: Annotated[str, typer.Argument(help="export, reward, sft, dpo, grpo, evaluate, gate, backup, … or retrain.")],
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A parameter, such as policy=base; the value may be JSON."),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A YAML file with parameters.", exists=True, dir_okay=False)] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the job has ended. The exit status is 1 unless it succeeded.")
    ] = False,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Start a job and print its id. Repeating the request prints the job that it started.

    Example: relate jobs run retrain --set policy=base --set 'grpo={"config": "grpo_cpu", "set": ["steps=20"]}' --wait
    """
    service = Service(url, key, "ops")
    job = service.post("/jobs", {"kind": kind, "parameters": _parameters(file, change or [])})
    print(job["id"])
    if wait:
        _wait(service, job["id"])


@jobs.command("list")
def list_all(
    kind: Annotated[str | None, typer.Option(help="Show only this kind.")] = None,
    state: Annotated[str | None, typer.Option(help="Show only this state, such as failed.")] = None,
    limit: Annotated[int, typer.Option(help="The number of jobs to show.", min=1, max=500)] = 20,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """List jobs and chains, newest first."""
    from rich.console import Console
    from rich.table import Table

    table = Table("job", "kind", "state", "reason", "created", "", box=None)
    for job in Service(url, key, "ops").get("/jobs", kind=kind, state=state, limit=limit)["jobs"]:
        table.add_row(
            job["id"], *(job[name] for name in ("kind", "state", "reason")), job["created_at"][:16], _note(job)
        )
    Console().print(table)


@jobs.command()
def show(job: JobId, url: UrlOption = URL, key: KeyOption = "") -> None:
    """Print one job as JSON: state, steps, inputs, outputs, error."""
    print(json.dumps(Service(url, key, "ops").get(f"/jobs/{job}"), ensure_ascii=False, indent=1))


@jobs.command()
def logs(
    job: JobId,
    lines: Annotated[int, typer.Option(help="The number of lines to show.", min=1, max=10_000)] = 200,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Print the end of a job's log; of a chain, that of its latest step."""
    print(Service(url, key, "ops").get_text(f"/jobs/{job}/log", lines=lines), end="")


@jobs.command()
def cancel(job: JobId, url: UrlOption = URL, key: KeyOption = "") -> None:
    """Cancel a job or a chain. A running process ends within 15 seconds."""
    print(_state(Service(url, key, "ops").post(f"/jobs/{job}/cancel")))


@jobs.command()
def retry(job: JobId, url: UrlOption = URL, key: KeyOption = "") -> None:
    """Run a failed or cancelled job again, from its last checkpoint; a chain resumes at the step that failed."""
    print(_state(Service(url, key, "ops").post(f"/jobs/{job}/retry")))


def _parameters(file: Path | None, changes: list[str]) -> dict[str, Any]:
    import yaml  # type: ignore[import-untyped]

    try:
        found: Any = yaml.safe_load(file.read_text(encoding="utf-8")) if file else {}
    except yaml.YAMLError as error:
        raise Refusal(f"{file} cannot be read as YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(found, dict):
        raise Refusal(f"{file} holds no mapping: write one parameter per line, as name: value")
    for given in changes:
        name, equals, value = given.partition("=")
        if not equals:
            raise Refusal(f"--set {given!r} is not NAME=VALUE, such as policy=base")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _wait(service: Service, job_id: str) -> None:
    while (job := service.get(f"/jobs/{job_id}"))["state"] in _UNFINISHED:
        sleep(_LOOK_S)
    print(_state(job))
    if job["state"] != "succeeded":
        raise typer.Exit(1)


def _state(job: dict[str, Any]) -> str:
    steps = ", ".join(f"{step['kind']} {step['state']}" for step in job["steps"])
    asked = " (cancellation requested)" if job["cancel_requested_at"] and job["state"] in _UNFINISHED else ""
    return f"{job['state']}{asked}" + (f": {steps}" if steps else "") + (f"; {job['error']}" if job["error"] else "")


def _note(job: dict[str, Any]) -> str:
    progress = f"{job['done']} of {job['total']} steps" if job["total"] and job["state"] == "running" else ""
    return job["error"] or progress
