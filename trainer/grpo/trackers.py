"""A run's curves in Accelerate's trackers (tensorboard, wandb, mlflow, …), beside the files of the run folder, which
need none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers  # type: ignore[import-untyped]
from accelerate.utils import LoggerType  # type: ignore[import-untyped]

from trainer.config import ConfigError, GrpoConfig

PROJECT = "relate"


class Trackers:
    """Every tracker that the config names; none by default. A resumed run logs the steps that it repeats once more."""

    def __init__(self, config: GrpoConfig, run: Path, *, write: bool = True) -> None:
        """write: whether this rank writes. ConfigError for a tracker that is unknown to Accelerate or not
        installed.
        """
        kinds = [_kind(name) for name in config.trackers] if write else []
        self._each = [
            kind(PROJECT, run / "trackers") if kind.requires_logging_directory else kind(PROJECT) for kind in kinds
        ]
        self._settings = dict(_flat(config.model_dump(mode="json", exclude_none=True)))

    def __enter__(self) -> Self:
        for tracker in self._each:
            tracker.start()
            tracker.store_init_configuration(self._settings)
        return self

    def log(self, curve: Mapping[str, Any]) -> None:
        """One step: numbers alone, nested names joined by a slash (rewards/ctcvr)."""
        values = {name: value for name, value in _flat(curve) if isinstance(value, (int, float)) and name != "step"}
        for tracker in self._each:
            tracker.log(values, step=int(curve["step"]))

    def __exit__(self, *error: object) -> None:
        """Let each tracker write what it has buffered."""
        for tracker in self._each:
            tracker.finish()


def _kind(name: str) -> Any:
    known = sorted(LOGGER_TYPE_TO_CLASS)
    if name not in known:
        raise ConfigError(f"trackers: {name!r} is unknown to Accelerate; there are {', '.join(known)}")
    if name in LoggerType.list() and name not in map(str, get_available_trackers()):
        raise ConfigError(f"trackers: {name} is not installed: pip install it, or take it out of trackers")
    return LOGGER_TYPE_TO_CLASS[name]


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """(name, number or word) of every value, however deep."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}/")
        else:
            yield f"{above}{name}", value if isinstance(value, (bool, int, float, str)) else str(value)
