"""What a policy version is: an immutable name, who writes, in which languages, and how it is asked; and what a
reward-model version is.

Light: the service imports it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from trainer.durable import write_text

KINDS = ("nlg", "vllm")
PACKAGED_POLICY = "relate-en-3"  # what `relate up` serves in English; new weights get a new name


def base_model(data_dir: Path) -> Path:
    """The folder of the packaged model as it comes, which training starts from."""
    return data_dir / "models" / "relate-base"


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How a model is asked. Part of a policy's identity: the same weights asked otherwise are another policy."""

    template: str = "two-field"  # adtext.prompt template
    examples: int = 0  # worked examples in the prompt: 2 for `base`, none for a trained policy
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 96
    structured: bool = False  # constrain the output to the template by vLLM's structured outputs
    # of the policy's tokenizer, those without a bracket: what training made literal text in its prompts
    control_tokens: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class PolicyVersion:
    """One row of the policy registry. `version` is never reused: vLLM keys its prefix cache by name."""

    version: str
    kind: str
    locales: tuple[str, ...]
    endpoint: str | None = None  # None: the deployment's own server (settings.policy_url)
    model: str | None = None
    decoding: Decoding = field(default_factory=Decoding)
    id: int = 0  # assigned by the database

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"policy {self.version!r}: kind {self.kind!r} is unknown; use one of {', '.join(KINDS)}")
        if not self.locales:
            raise ValueError(f"policy {self.version!r} states no locales; name at least one, such as en-US")

    def speaks(self, locale: str) -> bool:
        return locale in self.locales


def new_version(kind: str, content: dict[str, Any], today: date) -> str:
    """An immutable name such as `base-20261122-1f3a9c`: kind, day, hash of everything that makes the policy what it
    is.
    """
    # as JSON, so that a tuple in the code and a list from a request are the same content
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    return f"{kind}-{today:%Y%m%d}-{digest[:6]}"


def policy_version(
    name: str,
    *,
    kind: str,
    model: str | None,
    endpoint: str | None,
    locales: Sequence[str],
    decoding: Decoding,
    today: date,
    digest: str | None = None,
) -> str:
    """The version of a policy with this content, wherever it is written: at the first start, or when registered.

    digest: of its weights, where they are known: other weights under one model name are another policy.
    """
    content = {
        "kind": kind, "model": model, "endpoint": endpoint, "locales": sorted(locales), "decoding": asdict(decoding)
    }  # fmt: skip
    if digest is not None:
        content["digest"] = digest
    return new_version(name, content, today)


@dataclass(frozen=True, kw_only=True)
class RewardModelVersion:
    """A trained reward model: what it was made from and how good it was, kept as manifest.json beside its weights."""

    version: str
    encoder: str  # name and digest of its weights
    target: str  # ctcvr, or ctr where the data hold no conversions
    data: str  # digest of the snapshot
    config: dict[str, Any]  # trainer.config.RewardConfig
    calibration: dict[str, tuple[float, float]]  # slope and shift of the logit, by rate
    created_at: datetime
    metrics: dict[str, float] = field(default_factory=dict)


def write_reward_model(version: RewardModelVersion, folder: Path) -> None:
    """Write the manifest, whole or not at all: it makes the folder a version."""
    write_text(folder / "manifest.json", json.dumps(asdict(version), default=datetime.isoformat, indent=1))


def read_reward_model(folder: Path) -> RewardModelVersion:
    """The version in a folder. ValueError says what is wrong with it."""
    try:
        content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        calibration = {rate: (float(slope), float(shift)) for rate, (slope, shift) in content["calibration"].items()}
        return RewardModelVersion(
            **content | {"calibration": calibration, "created_at": datetime.fromisoformat(content["created_at"])}
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder} holds no reward model ({error}): train one with `relate train reward`") from error
