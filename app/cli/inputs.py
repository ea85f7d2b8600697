"""Reads briefs and texts from JSON and JSON Lines files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.cli.errors import Refusal, sentence


def records(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON file (one, or a list) or a JSON Lines file; `-` is standard input."""
    content = _read(path)
    try:
        whole = json.loads(content)
        found = whole if isinstance(whole, list) else [whole]
    except ValueError:
        found = [_parsed(path, number, line) for number, line in _lines(content)]
    if not found or not all(isinstance(record, dict) for record in found):
        raise Refusal(f"{path} holds no JSON objects: write one brief, a list of briefs, or one brief per line")
    return found


def _read(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _lines(content: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(content.split("\n"), start=1) if line.strip())


def _parsed(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise Refusal(f"{path}, line {number} is not JSON ({error})") from error


def valid_requests(path: Path, platform: str | None) -> tuple[list[dict[str, Any]], int]:
    """The result of `requests` for the valid records, and the number of invalid ones. Each invalid record is reported
    on stderr with its line, or its position in a JSON list.
    """
    from pydantic import ValidationError

    from adtext.brief import AdBrief

    content, valid, invalid = _read(path), [], 0
    try:
        whole = json.loads(content)
        numbered = list(enumerate(map(json.dumps, whole if isinstance(whole, list) else [whole]), start=1))
        place = "entry"
    except ValueError:
        numbered, place = list(_lines(content)), "line"
    for number, line in numbered:
        try:
            request = _request(path, _parsed(path, number, line), platform)
            AdBrief.model_validate(request["brief"])
        except (Refusal, ValidationError) as error:
            invalid += 1
            print(f"{path}, {place} {number}: {sentence(error)}", file=sys.stderr)
        else:
            valid.append(request)
    if not numbered:
        raise Refusal(f"{path} holds no JSON objects: write one brief, a list of briefs, or one brief per line")
    return valid, invalid


def requests(path: Path, platform: str | None) -> list[dict[str, Any]]:
    """`brief` and `platform` of each record: a bare brief, a `POST /generate` body, or a line of examples/briefs.jsonl.

    `platform` overrides that of the record. The default is google_rsa.
    """
    return [_request(path, record, platform) for record in records(path)]


def _request(path: Path, record: Any, platform: str | None) -> dict[str, Any]:
    brief = record.get("brief", record) if isinstance(record, dict) else record
    if not isinstance(brief, dict) or "query" not in brief or "ad" not in brief:
        found = ", ".join(sorted(brief)) or "nothing" if isinstance(brief, dict) else f"a {type(brief).__name__}"
        raise Refusal(f"{path}: a brief holds query, locale and ad, and this has {found}")
    own = record.get("platform", "google_rsa") if "brief" in record else "google_rsa"
    return {"brief": brief, "platform": platform or own}
