"""`relate check`: checks texts for compliance with the packaged rules. It needs no running service."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.errors import Refusal
from app.cli.inputs import records, requests

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from adtext.brief import AdText
    from adtext.checks import Examined, Finding

_STYLES = {"block": "bold red underline", "review": "yellow underline", "warn": "cyan underline"}


def check(
    brief: Annotated[Path, typer.Argument(help="The brief of the text: only its facts may be claimed.")],
    texts: Annotated[
        Path | None, typer.Argument(help="Texts as JSON or JSON Lines: title, description, description_2.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="The title, instead of a file.")] = None,
    description: Annotated[str | None, typer.Option(help="The description, instead of a file.")] = None,
    description_2: Annotated[str | None, typer.Option(help="The second description, instead of a file.")] = None,
    platform: Annotated[str | None, typer.Option(help="google_rsa, baidu_search or generic.")] = None,
    packs: Annotated[Path | None, typer.Option(help="A folder of rule packs beside the packaged ones.")] = None,
    own: Annotated[Path | None, typer.Option(help="The advertiser's own rules as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per text.")] = False,
) -> None:
    """Check texts against a brief, or the brief's approved texts where none are given. The exit status is 1 if a
    finding blocks.
    """
    from rich.console import Console

    from adtext import AdBrief, AdText, is_compliant, load_rules, load_spec
    from adtext.advertiser import AdvertiserRules, OwnChecks
    from adtext.checks import examine

    (request, *more) = requests(brief, platform)
    if more:
        raise Refusal(f"{brief} holds {1 + len(more)} briefs: check takes one")
    chosen = AdBrief.model_validate(request["brief"])
    if title is not None and description is not None:
        wanted = [AdText(title=title, description=description, description_2=description_2)]
    else:
        wanted = [AdText.model_validate(record) for record in records(texts)] if texts else list(chosen.ad.approved)
    if not wanted:
        raise Refusal("there is no text to check: pass a file of texts, or --title and --description")
    rules, spec, console = load_rules(packs), load_spec(request["platform"]), Console()
    if own is not None:
        rules = rules.of_advertiser(OwnChecks(AdvertiserRules.model_validate(records(own)[0])))
    allowed = True
    for text in wanted:
        examined = examine(text, chosen, spec, rules)
        compliant = is_compliant(examined.findings)
        allowed &= compliant
        if as_json:
            answer = {"text": text.model_dump(exclude_none=True), "compliant": compliant, **asdict(examined)}
            print(json.dumps(answer, ensure_ascii=False))
        else:
            _show(console, text, examined)
    if not allowed:
        raise typer.Exit(1)


def _show(console: Console, text: AdText, examined: Examined) -> None:
    """Print the text with its findings underlined, and below it the findings and what proves a claim."""
    findings = examined.findings
    for name, value in text.fields():
        console.print(underlined(value, [finding for finding in findings if finding.field == name]))
    for finding in findings:
        console.print(
            f"  {finding.severity:<7}{finding.field}: {finding.reason} ({finding.rule}; {finding.source})", markup=False
        )
        if finding.suggestion:
            console.print(f"         instead: {finding.suggestion}", markup=False)
    for proof in examined.proofs:
        console.print(f"  proved {proof.field}: {proof.quote!r} by evidence {proof.evidence}", markup=False)
    console.print("" if findings else "  [green]no findings[/]\n")


def underlined(value: str, findings: list[Finding]) -> Text:
    """The value with each span in the style of its severity. The most severe style wins."""
    from rich.text import Text

    shown = Text(value)
    for severity in ("warn", "review", "block"):
        for finding in findings:
            if finding.severity == severity:
                shown.stylize(_STYLES[severity], *finding.span)
    return shown
