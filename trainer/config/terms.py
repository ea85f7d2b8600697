"""The reward's terms: which are computed, how much each weighs, and whether it scores whole texts or charges tokens.

A term that ships has its own settings here. A term of your own is named by its class, and its settings are the
arguments of the class:

    terms:
      ctcvr: {weight: 1.0, kappa: 1.0}
      risk: {weight: 2.0, level: token}
      relevance: {weight: 0}                          # weight 0: in the curves, not in the reward
      "my_rewards:Brevity": {weight: 0.3, words: 8}
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from trainer.config.base import NotNegative, Number, Settings

Level = Literal["sentence", "token"]


class TermSettings(Settings):
    """What every term is told."""

    weight: NotNegative  # w of the sentence reward, or λ, what a charged token pays (RELATE eq. 2, 5); 0: only watched
    level: Level = "sentence"

    def own(self) -> dict[str, Any]:
        """The settings of this term alone."""
        return self.model_dump(exclude={"weight", "level"})


class SentenceTerm(TermSettings):
    """A term that is known of a whole text only."""

    level: Literal["sentence"] = "sentence"


class LengthTerm(SentenceTerm):
    """Lengths of the fields."""

    # share of a field's max below which it is too short (RELATE §3.3.1's target interval); 0: the platform's own min
    fill: Annotated[Number, Field(ge=0, lt=1)] = 0.0


class RelevanceTerm(SentenceTerm):
    """Similarity of text and brief."""

    encoder: str = "minilm"  # or a sentence-transformers name or folder: Qwen/Qwen3-Embedding-0.6B


class ConversionTerm(SentenceTerm):
    """Predicted CTCVR."""

    kappa: NotNegative = 1.0  # κ, standard deviations of the ensemble by which a prediction is lowered


class OwnTerm(TermSettings):
    """A term that does not ship: the other values are arguments of its class."""

    model_config = ConfigDict(extra="allow")


class Terms(Settings):
    """The terms of one run, by name. A term that is not named is not computed."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, OwnTerm]

    length: LengthTerm | None = None
    format: SentenceTerm | None = None
    relevance: RelevanceTerm | None = None
    correctness: TermSettings | None = None
    risk: TermSettings | None = None
    truth: SentenceTerm | None = None
    fluency: SentenceTerm | None = None
    diversity: TermSettings | None = None
    ctcvr: ConversionTerm | None = None

    @model_validator(mode="after")
    def _named_and_weighted(self) -> Self:
        if unknown := sorted(name for name in self.__pydantic_extra__ if not all(name.partition(":"))):
            raise ValueError(
                f"{', '.join(unknown)}: no such reward term; there are {', '.join(type(self).model_fields)}, or name "
                "your own class as module:Class"
            )
        if not self.weights("sentence"):
            raise ValueError("no term at sentence level weighs more than 0: a group needs one, such as length")
        return self

    def configured(self) -> dict[str, TermSettings]:
        """Every term that is computed, by name."""
        named = {name: getattr(self, name) for name in type(self).model_fields} | self.__pydantic_extra__
        return {name: term for name, term in named.items() if term is not None}

    def weights(self, level: Level) -> dict[str, float]:
        """Weights above 0 of the terms that act at this level."""
        return {
            name: term.weight for name, term in self.configured().items() if term.level == level and term.weight > 0
        }


def standard_terms() -> Terms:
    """RELATE with token-level credit."""
    return Terms(
        length=LengthTerm(weight=0.5),
        format=SentenceTerm(weight=0.5),
        relevance=RelevanceTerm(weight=1.0),
        correctness=TermSettings(weight=2.0, level="token"),
        risk=TermSettings(weight=2.0, level="token"),
        diversity=TermSettings(weight=0.5, level="token"),
        ctcvr=ConversionTerm(weight=1.0),
    )
