"""From the config's `terms` to the terms themselves, by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from trainer.config import ConfigError, Terms, TermSettings
from trainer.rewards.base import Given, MissingInput, Term, TokenTerm

# The class of every term that ships; any other term is named by its class in the config.
SHIPPED = {
    "length": "trainer.rewards.structure:Length",
    "format": "trainer.rewards.structure:Format",
    "relevance": "trainer.rewards.semantics:Relevance",
    "correctness": "trainer.rewards.risk:Correctness",
    "risk": "trainer.rewards.risk:Risk",
    "truth": "trainer.rewards.judged:Truth",
    "fluency": "trainer.rewards.judged:Fluency",
    "diversity": "trainer.rewards.diversity:Diversity",
    "ctcvr": "trainer.rewards.conversion:Conversion",
}


def build_terms(terms: Terms, given: Given) -> dict[str, Term]:
    """Every configured term, by name. A term of weight 0 is left out where the run was not given what it needs.

    ConfigError for a class that cannot be imported or built, and for a term at token level that charges no characters.
    """
    built: dict[str, Term] = {}
    for name, settings in terms.configured().items():
        try:
            built[name] = _build(name, settings, given)
        except MissingInput:
            if settings.weight > 0:
                raise
    return built


def _build(name: str, settings: TermSettings, given: Given) -> Term:
    made = _class(name)
    if not (isinstance(made, type) and issubclass(made, Term)):
        raise ConfigError(f"terms.{name} is no reward: name a class that inherits from trainer.rewards.Term")
    if settings.level == "token" and not issubclass(made, TokenTerm):
        raise ConfigError(f"terms.{name}: level: token needs a class with `charges`; use level: sentence")
    try:
        term: Term = made.build(given, **settings.own())
    except TypeError as error:
        raise ConfigError(f"terms.{name}: {error}: give the arguments that its class takes") from error
    return term


def _class(name: str) -> Any:
    module, _, attribute = SHIPPED.get(name, name).partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"terms.{name}: {error}: name a class that can be imported, as module:Class") from error
