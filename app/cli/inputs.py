"""Briefs and texts from files, in whichever of the usual forms they come."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.cli.errors import Refusal


def records(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON file (one, or a list) or a JSON Lines file; `-` is standard input."""
    try:
        content = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        whole = json.loads(content)
        found = whole if isinstance(whole, list) else [whole]
    except ValueError:
        found = list(_lines(path, content))
    if not found or not all(isinstance(one, dict) for one in found):
        raise Refusal(f"{path} holds no JSON objects: write one brief, a list of them, or one a line")
    return found


def _lines(path: Path, content: str) -> Iterator[Any]:
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise Refusal(f"{path}, line {number} is not JSON ({error})") from error


def requests(path: Path, platform: str | None) -> list[dict[str, Any]]:
    """`brief` and `platform` of each record: a bare brief, a `POST /generate` body, or a line of examples/briefs.jsonl.

    `platform` wins over the record's own; without either it is google_rsa.
    """
    wanted = []
    for record in records(path):
        brief = record.get("brief", record)
        if not isinstance(brief, dict) or "query" not in brief or "ad" not in brief:
            raise Refusal(
                f"{path}: a brief holds query, locale and ad, and this has {', '.join(sorted(brief)) or 'nothing'}"
            )
        own = record.get("platform", "google_rsa") if "brief" in record else "google_rsa"
        wanted.append({"brief": brief, "platform": platform or own})
    return wanted
