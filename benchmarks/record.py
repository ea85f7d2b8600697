"""Write what a benchmark measured, with the machine and the versions it was measured on."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def record(name: str, figures: dict[str, Any], packages: tuple[str, ...], out: Path | None = None) -> Path:
    """Write `figures` as JSON to benchmarks/results/<name>.json, or to `out`; returns the path."""
    path = out or RESULTS / f"{name}.json"
    measured_on = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": platform.machine(), "cpus": os.cpu_count(),
        "python": platform.python_version(), "versions": {package: version(package) for package in packages},
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"measured_on": measured_on, **figures}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
