"""YAML and command-line overrides → one validated configuration, or one line that says what does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trainer.config.base import ConfigError, Settings

Config = TypeVar("Config", bound=Settings)

# What a value should have been, by pydantic's error type.
_KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "tuple_type": "a list, such as [128, 64]",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of names to values",
}
_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def load_config(kind: type[Config], path: Path | None, overrides: Iterable[str] = ()) -> Config:
    """Defaults, then the YAML file, then `name=value` overrides in YAML's own spelling.

    `lora.rank=8` changes one value inside a group and keeps the others. ConfigError names what does not fit.
    """
    values = _read(path) if path else {}
    for override in overrides:
        name, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"override {override!r} is not name=value, such as epochs=3")
        try:
            _set(values, name.split("."), yaml.safe_load(value), _defaults(kind))
        except yaml.YAMLError as error:
            raise ConfigError(f"override {override!r} cannot be read as YAML: quote the value") from error
    return from_mapping(kind, values)


def from_mapping(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """The configuration with these values. ConfigError names every value that does not fit, its rule and the way
    out.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError("; ".join(_sentence(kind, found) for found in error.errors())) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path} holds {type(content).__name__}: write one `name: value` per line")
    return dict(content)


def _defaults(kind: type[Config]) -> dict[str, Any]:
    """The default of every group of settings, as a mapping."""
    groups = {name: field.get_default(call_default_factory=True) for name, field in kind.model_fields.items()}
    return {name: value.model_dump() for name, value in groups.items() if isinstance(value, BaseModel)}


def _set(values: dict[str, Any], path: list[str], value: Any, defaults: Mapping[str, Any]) -> None:
    """Set one value; a group that the file does not name starts from its default."""
    *outer, last = path
    table = values
    for part in outer:
        inner = table.get(part, defaults.get(part) if table is values else None)
        table[part] = dict(inner) if isinstance(inner, Mapping) else {}
        table = table[part]
    table[last] = value


def _sentence(kind: type[BaseModel], error: ErrorDetails) -> str:
    """One validation error as `name value rule`."""
    name = ".".join(str(part) for part in error["loc"])
    value, why, context = error["input"], error["type"], error.get("ctx", {})
    if why == "missing":
        return f"{name} must be set"
    if why == "extra_forbidden":
        return f"{name}: no such setting; there are {', '.join(_siblings(kind, error['loc']))}"
    if why == "literal_error":
        return f"{name} {value!r} is unknown: use {str(context['expected']).replace(chr(39), '')}"
    if why == "finite_number":
        return f"{name} {value} is not a finite number: give one, or null where the setting allows it"
    if why in _BOUNDS:
        words, key = _BOUNDS[why]
        return f"{name} {value!r} must be {words} {context[key]:g}"
    if why in _KINDS:
        return f"{name}: {value!r} is not {_KINDS[why]}"
    message = str(context["error"]) if why == "value_error" else error["msg"]
    return f"{name}: {message}" if name else message


def _siblings(kind: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the settings beside the one at this location."""
    for part in location[:-1]:
        field = kind.model_fields.get(str(part))
        options = (field.annotation, *get_args(field.annotation)) if field else ()
        kind = next((option for option in options if isinstance(option, type) and issubclass(option, BaseModel)), kind)
    return list(kind.model_fields)
