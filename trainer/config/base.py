"""What every configuration shares: it is frozen, refuses unknown names, and takes finite numbers only."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class ConfigError(ValueError):
    """A value that a run cannot start with. The message names the value, the rule and the way out."""


class Settings(BaseModel):
    """A configuration, or a group of settings inside one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def with_changes(self, **changes: Any) -> Self:
        """A copy with other values, validated again."""
        return type(self).model_validate(self.model_dump() | changes)


def _number(value: object) -> object:
    """YAML 1.1 reads 1e-3 as a string."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _tuple(value: object) -> object:
    """YAML has lists only."""
    return tuple(value) if isinstance(value, list) else value


Number = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Counts = Annotated[tuple[Count, ...], BeforeValidator(_tuple)]
Integers = Annotated[tuple[int, ...], BeforeValidator(_tuple)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_tuple)]
Precision = Literal["float32", "bfloat16"]
