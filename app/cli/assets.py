"""`relate assets`: headlines and descriptions for a platform that combines them, as JSON or for Google Ads Editor."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.client import URL, KeyOption, Service, UrlOption
from app.cli.errors import Refusal
from app.cli.inputs import requests

if TYPE_CHECKING:
    from app.core.ads_editor import EditorRow


def assets(
    briefs: Annotated[Path, typer.Argument(help="A brief, or a JSON Lines file of briefs; one ad each.")],
    out: Annotated[
        Path | None, typer.Option(help="A new file: .csv for Google Ads Editor, .json. Default: JSON on the terminal.")
    ] = None,
    final_url: Annotated[str | None, typer.Option(help="The landing page's address. A CSV file needs it.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Default: the advertiser.")] = None,
    ad_group: Annotated[str | None, typer.Option(help="Default: the ad's id.")] = None,
    path_1: Annotated[str, typer.Option("--path-1", help="First part of the display path.")] = "",
    path_2: Annotated[str, typer.Option("--path-2", help="Second part of the display path.")] = "",
    platform: Annotated[str | None, typer.Option(help="google_rsa: the only platform that combines assets.")] = None,
    deadline_ms: Annotated[int, typer.Option(help="How long to write further texts.", min=10, max=60_000)] = 20_000,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Find up to 15 headlines and 4 descriptions for each ad that may be shown in any combination."""
    from app.core.ads_editor import check_place, editor_csv

    as_csv = out is not None and out.suffix == ".csv"
    if out is not None and out.suffix not in (".csv", ".json"):
        raise Refusal(f"{out} ends in neither .csv nor .json: name one of them")
    if out is not None and out.exists():
        raise Refusal(f"{out} exists already: name a new file")
    if as_csv and final_url is None:
        raise Refusal("an ad for Google Ads Editor needs the address of its landing page: pass --final-url")
    if final_url is not None:
        check_place(final_url, path_1, path_2)
    service, answers, rows = Service(url, key, "generate"), [], []
    for request in requests(briefs, platform):
        answer = service.post("/assets", request | {"deadline_ms": deadline_ms})
        ad = request["brief"]["ad"]
        print(f"{ad['id']}: {_summary(answer)}", file=sys.stderr)
        answers.append(answer)
        if answer["usable"]:
            place = (campaign or ad["advertiser"], ad_group or ad["id"], final_url or "")
            rows.append(_row(answer, *place, path_1, path_2))
    content = editor_csv(rows) if as_csv else json.dumps(answers, ensure_ascii=False, indent=2) + "\n"
    if out is None:
        print(content, end="")
    elif rows or not as_csv:
        out.write_text(content, encoding="utf-8")
    if len(rows) < len(answers):
        raise Refusal(f"{len(answers) - len(rows)} of {len(answers)} ads have too few assets, as reported above")


def _row(answer: dict[str, Any], campaign: str, ad_group: str, final_url: str, *paths: str) -> EditorRow:
    from app.core.ads_editor import EditorRow

    return EditorRow(campaign, ad_group, final_url, _texts(answer, "headlines"), _texts(answer, "descriptions"), *paths)


def _texts(answer: dict[str, Any], kind: str) -> list[str]:
    return [asset["text"] for asset in answer[kind]["assets"]]


def _summary(answer: dict[str, Any]) -> str:
    """How many of each were found, and why not more."""
    parts = []
    for kind in ("headlines", "descriptions"):
        of_kind = answer[kind]
        left = {why: number for why, number in of_kind["left_out"].items() if why != "enough"}
        why = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in left.items())
        parts.append(f"{of_kind['found']} of {of_kind['wanted']} {kind}" + (f" (left out: {why})" if why else ""))
    reason = f"; no further samples: {answer['reason']}" if answer["reason"] else ""
    return ", ".join(parts) + reason
