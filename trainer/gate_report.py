"""The gate's report: what was compared, the result of each line, texts side by side, and the decision. Light: the
service stores and shows it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from trainer.bootstrap import Interval
from trainer.durable import write_text

Status = Literal["pass", "fail", "undecided"]
REPORT_FILE = "gate.json"
MAX_TEXTS = 50


def _as_tuple(value: object) -> object:
    """A list as a tuple. JSON has only lists, and strict validation does not accept a list for a tuple."""
    return tuple(value) if isinstance(value, list) else value


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Estimate(_Part):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    @staticmethod
    def of(interval: Interval) -> Estimate:
        return Estimate(value=interval.value, low=interval.low, high=interval.high)


class Line(_Part):
    """One measure: its rule and its result."""

    measure: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]
    label: Annotated[str, Field(max_length=200)]
    rule: Literal["no_worse", "better"]
    margin: float
    floor: float | None
    required: bool
    status: Status
    reason: Annotated[str, Field(max_length=400)]
    champion: Estimate | None = None  # None: it was not measured
    challenger: Estimate | None = None
    difference: Estimate | None = None

    @property
    def blocks(self) -> bool:
        """Whether the gate fails because of this line."""
        return self.status == "fail" or (self.status == "undecided" and self.required)


class Side(_Part):
    """A policy of the comparison: its name and the digests of its parts."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    digests: dict[str, str]


class Prompts(_Part):
    """The frozen set of prompts. Equal digests mean equal prompts in equal order."""

    split: str
    language: str
    advertisers: int
    prompts: int
    digest: str


class SideBySide(_Part):
    """One text of each policy for one query."""

    query: str
    advertiser: str
    champion: str
    challenger: str


class GateReport(_Part):
    """One decision of the gate."""

    decided_at: AwareDatetime
    champion: Side
    challenger: Side
    prompts: Prompts
    reward_models: dict[str, str]  # digest by measure
    config: dict[str, Any]  # trainer.config.GateConfig
    lines: Annotated[tuple[Line, ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=40)]
    texts: Annotated[tuple[SideBySide, ...], BeforeValidator(_as_tuple), Field(max_length=MAX_TEXTS)]
    passed: bool

    @model_validator(mode="after")
    def _decided_by_its_lines(self) -> Self:
        if self.passed != (not self.blocking):
            raise ValueError(
                f"passed is {str(self.passed).lower()} and {len(self.blocking)} lines block: the report was changed, "
                "run `relate evaluate gate` again"
            )
        return self

    @property
    def blocking(self) -> list[Line]:
        """The lines that fail the gate."""
        return [line for line in self.lines if line.blocks]

    @property
    def sentence(self) -> str:
        """The decision in words."""
        names = f"{self.challenger.name} against {self.champion.name}"
        if self.passed:
            return f"Pass: {names}, every line."
        return f"Fail: {names}: " + "; ".join(f"{line.label}: {line.reason}" for line in self.blocking) + "."

    def write(self, folder: Path) -> Path:
        """Write the report to gate.json in a folder."""
        write_text(folder / REPORT_FILE, self.model_dump_json(indent=1) + "\n")
        return folder / REPORT_FILE

    @staticmethod
    def read(path: Path) -> GateReport:
        """Read a report from a file, or from the folder that holds it. ValueError names the fault."""
        file = path / REPORT_FILE if path.is_dir() else path
        try:
            return GateReport.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise ValueError(
                f"{file} is no report of the gate ({what}): write one with `relate evaluate gate`"
            ) from error
