"""Commands as a person at a shell runs them."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from app.cli import main

BRIEF = {
    "query": "敏感肌保湿面霜",
    "locale": "zh-CN",
    "ad": {
        "id": "ad-面霜",
        "advertiser": "青禾护肤",
        "industry": "beauty",
        "selling_points": ["不含香精", "50克装售价89元"],
        "approved": [
            {
                "title": "青禾保湿面霜 不含香精",
                "description": "敏感肌也可以用的日常面霜，50克装售价89元，清爽不油腻，全家适用。",
            }
        ],
    },
}
ENGLISH = {
    "query": "wide shoes",
    "locale": "en-US",
    "ad": {
        "id": "a",
        "advertiser": "Fernhill",
        "business": "running shoes in four widths",
        "selling_points": ["Returns within 45 days"],
    },
}


class Said(NamedTuple):
    """What a command left on the terminal, and its status."""

    stdout: str
    stderr: str
    status: int


def relate(*arguments: object, given: str = "", **environment: str) -> Said:
    """The command as its console script runs it, but in this process: starting Python anew for each would take most of
    the time.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith(("RELATE_", "DATABASE_"))}
    out, error, status = io.StringIO(), io.StringIO(), 0
    with (
        patch.dict(os.environ, own | {"COLUMNS": "200"} | environment, clear=True),
        patch.object(sys, "argv", ["relate", *map(str, arguments)]),
        patch.object(sys, "stdin", io.StringIO(given)),
        redirect_stdout(out),
        redirect_stderr(error),
    ):
        try:
            main()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0
    return Said(out.getvalue(), error.getvalue(), status)


def saved(folder: Path, name: str, *contents: object) -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in contents), encoding="utf-8")
    return path
