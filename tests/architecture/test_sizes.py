"""Files and functions stay short enough to be read in one sitting."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES_OF_A_FILE = 350
LINES_OF_A_FUNCTION = 50
COLUMNS = 120


def tracked(*patterns: str) -> list[Path]:
    """The files of these patterns, new ones included."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in tracked("*.py", "*.sql")}
    assert [f"{path}: {lines} lines" for path, lines in lengths.items() if lines > LINES_OF_A_FILE] == []


def test_no_function_is_too_long() -> None:
    functions = (
        (path, node.name, (node.end_lineno or 0) - node.lineno + 1)
        for path in tracked("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert [f"{path}: {name} {lines}" for path, name, lines in functions if lines > LINES_OF_A_FUNCTION] == []


def test_no_statement_of_sql_is_too_wide() -> None:
    """Ruff holds Python to the same limit."""
    lines = (
        (path, number, line)
        for path in tracked("*.sql")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
    )
    assert [f"{path}:{number}" for path, number, line in lines if len(line) > COLUMNS] == []
