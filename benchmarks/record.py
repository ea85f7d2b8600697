"""Write what a benchmark measured, with the machine and the versions it was measured on."""

from __future__ import annotations

import json
import os
import platform
import re
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def destination(name: str, out: Path | None = None) -> Path:
    """Where `record` will write; ends the program at once, with one line, where it could not. Call it before measuring.

    An existing file is left as it is.
    """
    path = out or RESULTS / f"{name}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.exists():
            path.open("r+b").close()
    except OSError as error:
        raise SystemExit(f"cannot write {path} ({error.strerror}): name another file with --out") from None
    return path


def record(name: str, figures: dict[str, Any], packages: tuple[str, ...], out: Path | None = None) -> Path:
    """Write `figures` as JSON to benchmarks/results/<name>.json, or to `out`; returns the path."""
    path = out or RESULTS / f"{name}.json"
    measured_on = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        **machine(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"measured_on": measured_on, **figures}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return path


def machine() -> dict[str, Any]:
    """Processor, CPUs, memory, and how busy the machine was with everything over the last minute."""
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "processor": names[0] if names else platform.machine(),
        "cpus": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_average": os.getloadavg()[0],
    }
