"""The configuration of the comparison of reward configurations."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from trainer.config.base import Count, Integers, Settings, Strings


class AblateConfig(Settings):
    """Table 2's five configurations, trained alike and compared (RELATE §4.4)."""

    language: str = "en"
    seeds: Annotated[Integers, Field(min_length=1)] = (0, 1, 2)
    settings: Strings = ()  # NAME=VALUE over every configuration's file: steps=60
    queries: Count | None = None  # training queries, evenly spread; null: all
    held_out: Count | None = None  # held-out queries; null: all
    samples: Count = 5  # texts per held-out query

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {self.seeds} must be different numbers")
        return self
