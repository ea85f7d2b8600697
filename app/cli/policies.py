"""`relate policies`: policy versions and their aliases, through the API of a running service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.client import URL, KeyOption, Service, UrlOption
from app.cli.errors import Refusal

policies = typer.Typer(
    no_args_is_help=True, help="List, show, register, gate, serve, ramp, promote and roll back policy versions."
)

Version = Annotated[str, typer.Argument(help="A version, as `relate policies list` shows it.")]


@policies.command("list")
def list_all(url: UrlOption = URL, key: KeyOption = "") -> None:
    """List all versions with their aliases, newest first."""
    from rich.console import Console
    from rich.table import Table

    table = Table("version", "aliases", "gate", "canary", "kind", "model", "locales", "created", box=None)
    for policy in _all(Service(url, key, "report")):
        table.add_row(
            policy["version"],
            ", ".join(policy["aliases"]),
            ("pass" if policy["gate"]["passed"] else "fail") if policy["gate"] else "",
            _canary(policy["canary"]) if policy["canary"] else "",
            policy["kind"],
            policy["model"] or "",
            ", ".join(policy["locales"]),
            policy["created_at"][:10],
        )
    Console().print(table)


@policies.command()
def show(version: Version, url: UrlOption = URL, key: KeyOption = "") -> None:
    """Print one version as JSON. An alias is accepted too."""
    for policy in _all(Service(url, key, "report")):
        if version == policy["version"] or version in policy["aliases"]:
            print(json.dumps(policy, ensure_ascii=False, indent=1))
            return
    raise Refusal(f"there is no policy {version!r}: `relate policies list` shows all")


@policies.command()
def register(
    name: Annotated[str, typer.Option(help="The prefix of the version's name, such as relate.")],
    locale: Annotated[list[str], typer.Option(help="A locale that the policy writes. Repeat the option for several.")],
    model: Annotated[str | None, typer.Option(help="The model's name on its server. Omit it for --kind nlg.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Base URL of an OpenAI-compatible server. Default: the server of the deployment.")
    ] = None,
    kind: Annotated[str, typer.Option(help="vllm or nlg.")] = "vllm",
    temperature: Annotated[float, typer.Option(help="Sampling temperature.", min=0, max=2)] = 1.0,
    top_p: Annotated[float, typer.Option(help="Nucleus sampling: the probability mass that is kept.")] = 1.0,
    max_tokens: Annotated[int, typer.Option(help="The maximum number of tokens of a completion.")] = 96,
    examples: Annotated[int, typer.Option(help="Worked examples in the prompt.", min=0, max=2)] = 0,
    structured: Annotated[bool, typer.Option("--structured", help="Constrain the output to the template.")] = False,
    parent: Annotated[str | None, typer.Option(help="The version that it was trained from.")] = None,
    artifact: Annotated[str | None, typer.Option(help="The folder or address that holds its weights.")] = None,
    report: Annotated[
        Path | None,
        typer.Option("--gate", help="The report of its gate (gate.json): kept, with the digest of its weights."),
    ] = None,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Register a version and print its name. It serves no traffic until it is promoted or an experiment uses it."""
    decoding = {
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "examples": examples,
        "structured": structured,
    }
    wanted = {"name": name, "kind": kind, "locales": locale, "model": model, "endpoint": endpoint, "decoding": decoding}
    made_from: dict[str, Any] = {"parent": parent, "artifact": artifact}
    content = _report(report) if report else None
    if content:
        made_from["digest"] = content["challenger"]["digests"].get("policy")
    service = Service(url, key, "ops")
    version = service.post("/policies", wanted | made_from)["version"]
    print(version)
    if content:
        service.post(f"/policies/{version}/gate", content)


@policies.command()
def gate(
    version: Version,
    report: Annotated[Path, typer.Argument(help="What `relate evaluate gate` wrote: gate.json or its folder.")],
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Store the gate's report with the policy that it is about. Only a policy that passed can become champion."""
    stored = Service(url, key, "ops").post(f"/policies/{version}/gate", _report(report))
    print(f"{'pass' if stored['passed'] else 'fail'}: report {stored['id']} of {version} against {stored['champion']}")


@policies.command()
def promote(
    version: Version,
    alias: Annotated[str, typer.Option(help="champion or challenger.")] = "champion",
    override: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Promote without a passed gate; the reason is kept in the audit log."),
    ] = None,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Point an alias to a version, at once on every replica. A replaced champion becomes `previous`.

    The version must write for its golden prompts, and a champion must have passed the gate.
    """
    body = {"action": "promote", "version": version, "override_reason": override}
    _print_aliases(Service(url, key, "ops").post(f"/policies/{alias}", body))


@policies.command()
def rollback(url: UrlOption = URL, key: KeyOption = "") -> None:
    """Swap the champion and the previous champion. A second rollback restores the first state."""
    _print_aliases(Service(url, key, "ops").post("/policies/champion", {"action": "rollback"}))


@policies.command()
def serve(version: Version, url: UrlOption = URL, key: KeyOption = "") -> None:
    """Load the LoRA adapter of a version into the running vLLM. It must write for its golden prompts."""
    served = Service(url, key, "ops").post(f"/policies/{version}/serve")
    print(f"{version} answers as {served['model']}" + ("" if served["loaded"] else ": its server had it already"))


@policies.command()
def canary(
    version: Version,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a paused ramp, in a new phase: its counts begin anew.")
    ] = False,
    roll_back: Annotated[
        bool, typer.Option("--roll-back", help="Stop its experiment; the champion serves all.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Of the rollback; it is kept in the audit log.")] = None,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Show where the canary of a version stands, resume it, or roll it back. `relate jobs run canary` starts one."""
    if resume and roll_back:
        raise Refusal("--resume and --roll-back exclude each other")
    path = f"/policies/{version}/canary"
    if resume or roll_back:
        body = {"action": "resume" if resume else "roll_back", "reason": reason}
        found = Service(url, key, "ops").post(path, body)
    else:
        found = Service(url, key, "report").get(path)
    print(f"{_canary(found)}, since {found['since'][:16]}: {found['reason']}")


def _canary(found: dict[str, Any]) -> str:
    """A canary in a few words: ramping on 5 %."""
    share = f" on {found['percent']:g} %" if found["percent"] else ""
    return str(found["state"]).replace("_", " ") + share


def _report(path: Path) -> dict[str, Any]:
    from trainer.gate_report import GateReport

    try:
        return GateReport.read(path).model_dump(mode="json")
    except ValueError as error:
        raise Refusal(str(error)) from error


def _all(service: Service) -> Iterator[dict[str, Any]]:
    before: int | None = None
    while True:
        page = service.get("/policies", before=before)
        yield from page["policies"]
        before = page["next"]
        if before is None:
            return


def _print_aliases(answer: dict[str, Any]) -> None:
    for alias, version in sorted(answer["aliases"].items()):
        print(f"{alias}: {version}")
