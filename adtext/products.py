"""Product classes, finer than industries: which laws apply to what is sold. Stated by the brief, or inferred from its
words.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

from ahocorasick_rs import AhoCorasick

from adtext.fold import fold


@dataclass(frozen=True, slots=True)
class ProductClass:
    """A kind of product with rules of its own. Its data stands in data/products.toml."""

    name: str
    law: str
    regulated: bool  # a fresh text needs a person's approval
    words: Mapping[str, tuple[str, ...]]  # by language: words of a brief that tell the class
    disclaimers: Mapping[str, tuple[str, ...]]  # by language: any of these words is the statement that the law requires
    industries: frozenset[str]  # the class needs one of these industries; empty: any


@cache
def product_classes() -> Mapping[str, ProductClass]:
    """Every class, by name."""
    table = tomllib.loads(resources.files("adtext").joinpath("data", "products.toml").read_text(encoding="utf-8"))
    return MappingProxyType(
        {
            name: ProductClass(
                name=name,
                law=row["law"],
                regulated=row.get("regulated", False),
                words={language: tuple(words) for language, words in row.get("words", {}).items()},
                disclaimers={language: tuple(words) for language, words in row.get("disclaimers", {}).items()},
                industries=frozenset(row.get("industries", ())),
            )
            for name, row in table.items()
        }
    )


def classify(industry: str, folded: str, language: str) -> frozenset[str]:
    """The product classes of a brief: by its words, and where they tell nothing, by its industry alone."""
    automaton, names = _automaton(language)
    found = {
        names[number]
        for number, start, end in automaton.find_matches_as_indexes(folded, overlapping=True)
        if _stands_alone(folded, start, end)
    }
    classes = product_classes()
    fitting = {name for name in found if not classes[name].industries or industry in classes[name].industries}
    if not found.isdisjoint({"health_food", "cosmetics", "food"}):
        fitting -= {"medical_service"}
    elif industry == "health":
        fitting.add("medical_service")
    return frozenset(fitting)


@cache
def _automaton(language: str) -> tuple[AhoCorasick, list[str]]:
    words = [(fold(word).text, name) for name, row in product_classes().items() for word in row.words.get(language, ())]
    return AhoCorasick([word for word, _ in words]), [name for _, name in words]


def _stands_alone(text: str, start: int, end: int) -> bool:
    """True where no Latin word goes on beyond either edge, but for the ending of a plural."""
    if text[start] > "\u024f":
        return True
    if start and text[start - 1].isalnum() and text[start - 1] < "\u0250":
        return False
    rest = text[end : end + 2]
    return not rest[:1].isalpha() or rest[:1] > "\u024f" or (rest[:1] == "s" and not rest[1:].isalpha())
