"""A trained adapter's folder: read, continued, or merged. Settings that this code does not support are refused by name.

An adapter from another tool may use settings that change W + (alpha / rank) · B·A. Ignoring one of them would train
and serve a different policy from the one that was trained.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import ConfigError, LoraSettings
from trainer.source import adapter_settings

WEIGHTS = "adapter_model.safetensors"
_READ = frozenset(
    ("peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "bias", "target_modules", "base_model_name_or_path")
)
# keys that say nothing about the weights, or belong to an option that another key switches on
_WITHOUT_EFFECT = frozenset(
    ("auto_mapping", "inference_mode", "megatron_core", "peft_version", "qalora_group_size", "revision")
)
_PLAIN_STARTS = (True, False, "gaussian")  # how new weights start; other ways change the base's weights too
_LORA_WEIGHT = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_[AB]\.weight")


@dataclass(frozen=True, slots=True)
class Adapter:
    """The settings of a LoRA adapter."""

    folder: Path
    rank: int
    alpha: int
    dropout: float
    targets: frozenset[str]

    @staticmethod
    def read(folder: Path) -> Adapter | None:
        """The adapter in a folder; None without one. ConfigError names the settings that are not supported."""
        settings = adapter_settings(folder)
        if settings is None:
            return None
        _refuse_unread(folder, settings)
        adapter = Adapter(
            folder, settings["r"], settings["lora_alpha"], settings.get("lora_dropout") or 0.0,
            frozenset(settings["target_modules"]),
        )  # fmt: skip
        adapter._check_weights()
        return adapter

    def check(self, lora: LoraSettings) -> None:
        """ConfigError where a run that continues this adapter is configured for another one."""
        settings: dict[str, tuple[object, object]] = {"rank": (self.rank, lora.rank), "alpha": (self.alpha, lora.alpha)}
        if self.targets != set(lora.targets):
            settings["targets"] = (_listed(self.targets), _listed(lora.targets))
        if wrong := [
            f"lora.{name} {ours} (the adapter has {its})" for name, (its, ours) in settings.items() if its != ours
        ]:
            raise ConfigError(
                f"{self.folder} is an adapter with other settings than the config's {'; '.join(wrong)}: set the "
                "adapter's values, or lora: null to merge it and train all weights"
            )
        if self.dropout:
            raise ConfigError(
                f"{self.folder} is an adapter with lora_dropout {self.dropout}: π_old and π_θ must be one "
                "distribution, so set it to 0 in adapter_config.json, or lora: null to merge it and train all weights"
            )

    def apply(self, model: Any, lora: LoraSettings | None) -> Any:
        """The model with this adapter. It is merged where lora is None, and then all weights are trained."""
        from peft import PeftModel
        from peft.utils import get_peft_model_state_dict

        try:
            adapted = PeftModel.from_pretrained(model, str(self.folder), is_trainable=lora is not None)
        except (RuntimeError, ValueError) as error:  # a shape or a layer that the model does not have
            raise ConfigError(f"{self.folder} is an adapter of another model: name its own base as --base") from error
        expected, found = set(get_peft_model_state_dict(adapted)), self._weight_names()
        if missing := sorted(expected ^ found):
            raise ConfigError(
                f"{self.folder} is an adapter of another model: {missing[0]} and {len(missing) - 1} more weights are "
                "only in one of the two; name its own base as --base"
            )
        if lora is not None:
            return adapted
        return adapted.merge_and_unload().requires_grad_(True)  # PEFT froze the base

    def _weight_names(self) -> set[str]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.folder / WEIGHTS, "pt") as weights:
                return set(weights.keys())
        except (OSError, SafetensorError) as error:
            raise ConfigError(f"{self.folder} holds no readable {WEIGHTS}: save the adapter as safetensors") from error

    def _check_weights(self) -> None:
        unread = []
        for name in sorted(self._weight_names()):
            weight = _LORA_WEIGHT.fullmatch(name)
            if weight is None or weight["layer"].rpartition(".")[2] not in self.targets:
                unread.append(name)
        if unread:
            raise ConfigError(
                f"{self.folder} is an adapter with weights that are not read here: {_listed(unread[:3])}"
                f"{' …' if len(unread) > 3 else ''}: merge it into its base with the tool that trained it, and name "
                "the merged model"
            )


def _refuse_unread(folder: Path, settings: Mapping[str, Any]) -> None:
    if missing := sorted({"r", "lora_alpha", "target_modules"} - settings.keys()):
        raise ConfigError(f"{folder}/adapter_config.json has no {', '.join(missing)}: it is no LoRA adapter")
    unread = {
        name: value
        for name, value in settings.items()
        if name not in _READ | _WITHOUT_EFFECT and name != "init_lora_weights" and value
    }
    if settings.get("init_lora_weights", True) not in _PLAIN_STARTS:
        unread["init_lora_weights"] = settings["init_lora_weights"]
    if (kind := settings.get("peft_type", "LORA")) != "LORA":
        unread["peft_type"] = kind
    if (bias := settings.get("bias", "none")) != "none":
        unread["bias"] = bias
    if isinstance(settings["target_modules"], str):
        unread["target_modules"] = settings["target_modules"]  # a pattern: this code reads a list of names
    if unread:
        listed = ", ".join(f"{name}: {value!r}" for name, value in sorted(unread.items()))
        raise ConfigError(
            f"{folder} is an adapter with settings that are not read here ({listed}): merge it into its base with the "
            "tool that trained it, and name the merged model"
        )


def _listed(names: Any) -> str:
    return ", ".join(sorted(names))
