"""The configuration of the gate: on which prompts two policies are compared, and what each measure must show."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from trainer.config.base import Count, NotNegative, Number, Settings
from trainer.prompts import DataSplit

Rule = Literal["no_worse", "better"]


class GateLine(Settings):
    """What one measure must show for the challenger to pass."""

    rule: Rule = "no_worse"
    # no_worse: the 95 % interval of the difference must end above -margin; better: above 0
    margin: NotNegative = 0.0
    floor: Number | None = None  # the interval of the challenger's own mean must end above it
    required: bool = True  # false: a line that cannot be decided, such as truth without a judge, does not fail the gate

    @model_validator(mode="after")
    def _better_has_no_margin(self) -> Self:
        if self.rule == "better" and self.margin:
            raise ValueError(f"margin {self.margin:g} with rule better: a margin is of rule no_worse, remove it")
        return self


class GateLines(Settings):
    """The lines, by the measure that each reads. null: the line is left out.

    The margins of shares are what about 40 advertisers with some 800 texts can tell apart.
    """

    structure: GateLine | None = GateLine(margin=0.05)
    clean: GateLine | None = GateLine(margin=0.05)
    truth: GateLine | None = GateLine(margin=0.05)
    fluency: GateLine | None = GateLine(margin=0.05)
    diversity: GateLine | None = GateLine(margin=0.05, floor=0.4)  # people's headlines: 0.95; three templates: 0.30
    semantics: GateLine | None = GateLine(margin=0.05)
    distinct: GateLine | None = GateLine(margin=0.5, floor=2.0)  # texts per brief
    ctcvr: GateLine | None = GateLine(rule="better")
    held_out_reward_model: GateLine | None = GateLine(rule="better")

    def configured(self) -> dict[str, GateLine]:
        """The lines that are decided, by measure."""
        named = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: line for name, line in named.items() if line is not None}


class GateConfig(Settings):
    """The decision whether a challenger may take traffic (table 3's measures, on a frozen set of prompts)."""

    language: str = "en"
    # a choice is made here, so not on held_out, which is read once per policy for reporting
    split: DataSplit = "validation"
    limit: Count | None = None  # prompts, evenly spread; null: all
    samples: Count = 5  # texts per prompt
    seed: int = 0
    max_completion: Count = 96
    encoder: str = "minilm"  # encoder of relevance
    shown: Count = 12  # briefs whose texts stand side by side in the report
    lines: GateLines = GateLines()

    @model_validator(mode="after")
    def _floor_can_be_reached(self) -> Self:
        distinct = self.lines.distinct
        if distinct and distinct.floor is not None and distinct.floor >= self.samples:
            raise ValueError(
                f"lines.distinct.floor {distinct.floor:g} with {self.samples} samples per prompt: no policy can exceed "
                "it, lower it or raise samples"
            )
        if not self.lines.configured():
            raise ValueError("lines: every line is null, so every policy would pass: keep at least one")
        return self
