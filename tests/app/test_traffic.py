"""What docs/scaling.md says of traffic is what the recorded measurements give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.traffic import Traffic, parts, results, sizes, table

PAGE = (Path(__file__).parents[2] / "docs/scaling.md").read_text("utf-8")


@pytest.mark.parametrize("line", [line for line in table(Traffic()) if line])
def test_the_page_holds_the_table_that_the_program_prints(line: str) -> None:
    assert line in PAGE.splitlines()


@pytest.mark.parametrize("figure", ["ingest_ms", "ingest_within_ms", "fold_by_serving_ms", "retention_s"])
def test_the_page_holds_what_was_measured_of_partitions(figure: str) -> None:
    row = next(line for line in PAGE.splitlines() if f"`{figure}`" in line)
    measured = results("partitions")[figure]
    assert [cell.strip() for cell in row.split("|")[-4:-1]] == [f"{measured[shape]:,}" for shape in measured]


def test_the_part_that_gives_way_first_stands_first_and_more_of_the_traffic_never_relieves_a_part() -> None:
    before = {part.name: part.times for part in parts(Traffic())}
    assert list(before.values()) == sorted(before.values(), reverse=True)
    after = {part.name: part.times for part in parts(Traffic(requests=2e5, events=2e9))}
    assert after == pytest.approx({name: 2 * times for name, times in before.items()})


def test_without_misses_nobody_waits_for_the_model_and_with_fewer_processes_fewer_connections_are_open() -> None:
    vllm = next(part for part in parts(replace(Traffic(), hits=1.0)) if part.name.startswith("vLLM"))
    assert vllm.times == 0
    assert (
        sizes(replace(Traffic(), use=1.0))["connections to PostgreSQL"] < sizes(Traffic())["connections to PostgreSQL"]
    )
