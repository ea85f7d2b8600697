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
PACKAGED_POLICY = "relate-en-5"  # what `relate up` serves in English; new weights get a new name


def base_model(data_dir: Path) -> Path:
    """The folder of the packaged model without an adapter: training starts from it."""
    return data_dir / "models" / "relate-base"


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How a model is prompted and sampled. Part of a policy's identity: the same weights with other decoding are
    another policy.
    """

    template: str = "two-field"  # adtext.prompt template
    examples: int = 0  # worked examples in the prompt: 2 for `base`, none for a trained policy
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 96
    structured: bool = False  # constrain the output to the template by vLLM's structured outputs
    # control tokens without a bracket in the policy's tokenizer: training writes them as plain text in prompts
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
    artifact: str | None = None  # the folder or address that holds its weights
    id: int = 0  # assigned by the database

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"policy {self.version!r}: kind {self.kind!r} is unknown; use one of {', '.join(KINDS)}")
        if not self.locales:
            raise ValueError(f"policy {self.version!r} states no locales; name at least one, such as en-US")

    def speaks(self, locale: str) -> bool:
        return locale in self.locales


def new_version(kind: str, content: dict[str, Any], today: date) -> str:
    """An immutable name such as `base-20261122-1f3a9c`: kind, day, and a hash of everything that
    defines the policy.
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
    """The version of a policy with this content. Used at the first start and when a policy is registered.

    digest: the digest of its weights, where known: other weights under the same model name are another policy.
    """
    content = {
        "kind": kind, "model": model, "endpoint": endpoint, "locales": sorted(locales), "decoding": asdict(decoding)
    }  # fmt: skip
    if digest is not None:
        content["digest"] = digest
    return new_version(name, content, today)


@dataclass(frozen=True, kw_only=True)
class RewardModelVersion:
    """A trained reward model: its inputs and its measured quality, stored as manifest.json beside its weights."""

    version: str
    encoder: str  # name and digest of its weights
    target: str  # ctcvr, or ctr where the data hold no conversions
    data: str  # digest of the snapshot
    config: dict[str, Any]  # trainer.config.RewardConfig
    calibration: dict[str, tuple[float, float]]  # slope and shift of the logit, by rate
    created_at: datetime
    metrics: dict[str, float] = field(default_factory=dict)


def write_reward_model(version: RewardModelVersion, folder: Path) -> None:
    """Write the manifest atomically. It makes the folder a version."""
    write_text(folder / "manifest.json", json.dumps(asdict(version), default=datetime.isoformat, indent=1))


def read_reward_model(folder: Path) -> RewardModelVersion:
    """The version in a folder. ValueError names the fault."""
    try:
        content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        calibration = {rate: (float(slope), float(shift)) for rate, (slope, shift) in content["calibration"].items()}
        return RewardModelVersion(
            **content | {"calibration": calibration, "created_at": datetime.fromisoformat(content["created_at"])}
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder} holds no reward model ({error}): train one with `relate train reward`") from error
