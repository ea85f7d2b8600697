"""The policy π_θ: load weights and tokenizer (full or with LoRA), turn prompts into ids, keep the frozen start as
π_ref, save and merge.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from adtext.brief import AdText
from adtext.prompt import CHAT_TEMPLATE_ARGUMENTS, render, write
from trainer.adapter import Adapter
from trainer.config import LoraSettings
from trainer.durable import publish
from trainer.source import base_of, tokenizer_of
from trainer.tokens import end_of_text, literal_ids, unbracketed

if TYPE_CHECKING:
    from trainer.prompts import Prompt

TRAINED, REFERENCE = "default", "reference"  # names of the adapters: the trained one, and π_ref
_PREFIX = "base_model.model."  # what PEFT puts before every parameter's name


def load_policy(
    model: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    lora: LoraSettings | None = None,
    gradient_checkpointing: bool = False,
    base: str | Path | None = None,
) -> tuple[Any, Any]:
    """(model, tokenizer) of a Hugging Face name, a model folder, or an adapter folder.

    lora: train low-rank updates over frozen weights in `dtype`; the updates themselves stay float32. An adapter folder
    continues to train its own adapter. Without lora, an adapter is merged and all weights train. `base` overrides the
    base that the adapter names.
    """
    from transformers import AutoModelForCausalLM

    adapter, source = Adapter.read(Path(model)), base_of(model, base)
    if adapter and lora:
        adapter.check(lora)
    tokenizer = tokenizer_of(source)
    loaded: Any = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, attn_implementation="sdpa")
    if adapter:
        loaded = adapter.apply(loaded, lora)
    elif lora:
        loaded = _with_fresh_adapter(loaded, lora)
    if gradient_checkpointing:
        loaded.enable_input_require_grads()  # frozen embeddings would leave a checkpointed block without a gradient
        loaded.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    loaded.config.use_cache = not gradient_checkpointing
    return loaded.eval(), tokenizer  # eval: no dropout, so that π_old, π_θ and the sampler are one distribution


def _with_fresh_adapter(model: Any, lora: LoraSettings) -> Any:
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=0.0,
        target_modules=list(lora.targets),
        task_type="CAUSAL_LM",
        bias="none",
    )
    return get_peft_model(model, settings)


# ---- prompts and targets as ids


def prompt_ids(tokenizer: Any, prompt: Prompt, *, examples: int = 0) -> list[int]:
    """The ids of the chat that asks for one text, up to where the answer begins; the same as in serving."""
    messages = render(prompt.brief, prompt.spec, examples=examples, control_tokens=unbracketed(tokenizer))
    ids = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=False, **CHAT_TEMPLATE_ARGUMENTS
    )
    return list(ids)


def completion_ids(tokenizer: Any, text: AdText, language: str) -> list[int]:
    """The ids of a text as the policy should write it, end-of-text included."""
    return [*literal_ids(tokenizer, write(text, language)), end_of_text(tokenizer)]


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of sampled ids, special tokens left out; bytes of an unfinished character become U+FFFD."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


# ---- π_ref


class Reference:
    """π_ref: the policy at the time this object was made. With LoRA a second, frozen adapter on the same base;
    otherwise a frozen copy.
    """

    def __init__(self, model: Any) -> None:
        self._model, self._copy = model, None
        if not is_adapted(model):
            self._copy = copy.deepcopy(model).eval().requires_grad_(False)
            return
        model.add_adapter(REFERENCE, model.peft_config[TRAINED])
        weights = dict(model.named_parameters())
        with torch.no_grad():
            for name, weight in weights.items():
                if f".{REFERENCE}." in name:
                    weight.copy_(weights[name.replace(f".{REFERENCE}.", f".{TRAINED}.")])
        model.set_adapter(TRAINED)

    @contextmanager
    def active(self) -> Iterator[Any]:
        """The module to run π_ref with. Inside, the policy's own adapter is off: no forward pass of π_θ may overlap."""
        if self._copy is not None:
            yield self._copy
            return
        self._model.set_adapter(REFERENCE, inference_mode=True)
        try:
            yield self._model
        finally:
            self._model.set_adapter(TRAINED)


def is_adapted(model: nn.Module) -> bool:
    """Whether only an adapter trains."""
    return hasattr(model, "peft_config")


# ---- saved and merged weights


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """The trained weights by name: views, not copies."""
    return {name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}


def merged_weights(model: Any, *, changed: bool = False) -> Iterator[tuple[str, Tensor]]:
    """A full model's weights by name with the adapter added in, W + (α/r)·B·A: what a sampler is given.

    Each is a copy that is made when it is asked for, so a push needs memory for one weight and not for a second model,
    and the training weights stay. Tied weights appear once, under the first of their names. changed: leave out what an
    adapter cannot have changed; layers that stand beside an adapted one come along, since samplers fuse them.
    """
    layers = dict(model.named_modules())
    beside = {name.rpartition(".")[0] for name, layer in layers.items() if hasattr(layer, "base_layer")}
    for name, weight in model.named_parameters():
        if ".lora_" in name or (changed and is_adapted(model) and not _stands_in(name, beside)):
            continue
        yield name.removeprefix(_PREFIX).replace(".base_layer.", "."), _merged(weight, layers, name)


def _stands_in(name: str, modules: Collection[str]) -> bool:
    """Whether a parameter belongs to a layer directly inside one of these modules."""
    layer = name.removesuffix(".base_layer.weight").removesuffix(".weight")
    return layer.rpartition(".")[0] in modules


def _merged(weight: Tensor, layers: Mapping[str, Any], name: str) -> Tensor:
    value = weight.detach().clone()
    if name.endswith(".base_layer.weight"):
        delta = layers[name.removesuffix(".base_layer.weight")].get_delta_weight(TRAINED)
        value += delta.detach().to(value.dtype)
    return value


def save_policy(model: Any, tokenizer: Any, folder: Path, *, base: str | None = None) -> None:
    """Write the model, or its trained adapter alone, with the tokenizer. `base` is what the adapter will name as its
    base.
    """
    if is_adapted(model):
        settings = model.peft_config[TRAINED]
        settings.base_model_name_or_path = base or settings.base_model_name_or_path
        model.save_pretrained(str(folder), selected_adapters=[TRAINED], save_embedding_layers=False)
    else:
        model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))


def merge_adapter(base: str | Path, adapter: Path, out: Path, *, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write the full model of `base` with `adapter` merged, for a server that does not support adapters. `out` is
    complete or absent.
    """
    model, tokenizer = load_policy(adapter, base=base)  # added up in float32, rounded once
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_policy(model.to(dtype), tokenizer, partial)
    publish(partial, out)
