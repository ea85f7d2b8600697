"""The identity of a run: its settings and the digests of everything it read. A different run in the same folder is
refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adtext.prompt import CHAT_TEMPLATE_ARGUMENTS, render
from trainer.config import ConfigError, Settings
from trainer.durable import sha256, write_text
from trainer.prompts import Prompt
from trainer.source import adapter_settings, base_of

FILE = "run.json"
# settings that a resumed run may change: it remains the same run with more steps, checkpoints or logs
_FREE = frozenset(("steps", "checkpoint_every", "trackers"))
_MODEL_FILES = (
    "*.safetensors", "pytorch_model*.bin", "config.json", "generation_config.json", "tokenizer*", "chat_template*",
    "special_tokens_map.json", "added_tokens.json", "vocab*", "merges*",
)  # fmt: skip
_ADAPTER_FILES = ("adapter_model.safetensors", "adapter_config.json")


@dataclass(frozen=True)
class Identity:
    """One run, as run.json keeps it."""

    kind: str  # sft, dpo or grpo
    config: Settings
    digests: Mapping[str, str]  # digests of everything that the run reads, by kind: policy, base, prompts, …
    names: Mapping[str, str] = field(default_factory=dict)  # paths of these, for information; they may move

    def claim(self, out: Path) -> None:
        """Write out/run.json. ConfigError names the differences where the folder holds another run or model.

        A run without a checkpoint is replaced.
        """
        ours = {"kind": self.kind, "config": self.config.model_dump(mode="json"), "digests": dict(self.digests)}
        path = out / FILE
        begun = any((out / "checkpoints").glob("*")) or any((out / name).exists() for name in _MADE)
        if path.exists() and begun:
            theirs = json.loads(path.read_text(encoding="utf-8"))
            if changed := sorted(_differences(theirs, ours)):
                raise ConfigError(
                    f"{out} holds a run with other {', '.join(changed)}: give these again, or name a new folder"
                )
        elif begun:
            raise ConfigError(f"{out} holds a model or checkpoints that no recorded run made: name a new folder")
        out.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(ours | {"names": dict(self.names)}, indent=1, ensure_ascii=False) + "\n")


_MADE = ("config.json", "adapter_config.json", "outcome.json")


def policy_digests(policy: str, base: str | None = None) -> dict[str, str]:
    """Digests of a policy's weights, tokenizer and template, and of its base where it is an adapter."""
    if adapter_settings(Path(policy)) is None:
        return {"policy": _source_digest(base_of(policy))}
    return {"policy": _files_digest(Path(policy), _ADAPTER_FILES), "base": _source_digest(base_of(policy, base))}


def prompts_digest(prompts: Iterable[Prompt]) -> str:
    """Digest of the queries in their order: briefs, limits, references and prompt wording."""
    digest = hashlib.sha256(json.dumps(dict(CHAT_TEMPLATE_ARGUMENTS)).encode())
    for prompt in prompts:
        texts = [text.model_dump() for text in prompt.references]
        digest.update(content_digest([asked_digest(prompt), texts]).encode())
    return digest.hexdigest()[:16]


def asked_digest(prompt: Prompt, examples: int = 0) -> str:
    """Digest of one query without its references: what the policy reads."""
    asked = render(prompt.brief, prompt.spec, examples=examples)
    return content_digest([prompt.brief.model_dump(mode="json"), repr(prompt.spec), asked])


def content_digest(content: Any) -> str:
    """Digest of any value that JSON can represent."""
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:16]


def reward_model_digest(folder: Path | None) -> str:
    """Digest of a reward model's version and weights; "none" without one."""
    return "none" if folder is None else _files_digest(folder, ("*",))


def _source_digest(source: str) -> str:
    """Digest of a model's folder, or the commit to which a hub's name resolves."""
    if Path(source).is_dir():
        return _files_digest(Path(source), _MODEL_FILES)
    from transformers import AutoConfig

    return f"{source}@{AutoConfig.from_pretrained(source)._commit_hash}"


def _files_digest(folder: Path, patterns: Sequence[str]) -> str:
    files = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    return content_digest([[path.name, _file_digest(path)] for path in files])


def _file_digest(path: Path) -> str:
    """Digest of a file's content. An adapter's base is digested separately, wherever it is stored."""
    if path.name != "adapter_config.json":
        return sha256(path)
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["target_modules"] = sorted(settings.get("target_modules") or ())  # PEFT writes a set
    return content_digest(settings | {"base_model_name_or_path": ""})


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> set[str]:
    """The names of what differs: kind, settings, and digests."""
    changed = {"kind"} if theirs.get("kind") != ours["kind"] else set()
    for part in ("config", "digests"):
        old, new = _flat(theirs.get(part, {})), _flat(ours[part])
        changed |= {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)} - _FREE
    return changed


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Every value by its dotted name."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return found
