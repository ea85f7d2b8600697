"""A text cut where findings begin and end, so that a template can underline them in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_WEIGHT = {"block": 2, "review": 1, "warn": 0}


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text that the same findings cover."""

    text: str
    numbers: tuple[int, ...]  # numbers of the findings that cover this piece, from 1
    ends: tuple[int, ...]  # the numbers of those that end with it
    severity: str  # the heaviest of them; empty where there is none


def pieces(field: str, value: str, findings: Sequence[Mapping[str, Any]]) -> list[Piece]:
    """The value of a field in pieces. A finding is a dict as it is stored: field, span, severity."""
    spans = [
        (number, *finding["span"], finding["severity"])
        for number, finding in enumerate(findings, 1)
        if finding["field"] == field and finding["span"][0] < finding["span"][1] <= len(value)
    ]
    edges = sorted({0, len(value), *(edge for _, start, end, _ in spans for edge in (start, end))})
    cut = []
    for left, right in pairwise(edges):
        covering = [(number, end, severity) for number, start, end, severity in spans if start <= left and right <= end]
        cut.append(
            Piece(
                value[left:right],
                tuple(number for number, _, _ in covering),
                tuple(number for number, end, _ in covering if end == right),
                max((severity for _, _, severity in covering), key=lambda name: _WEIGHT.get(name, 0), default=""),
            )
        )
    return cut
