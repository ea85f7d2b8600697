"""Rollouts with vLLM inside the trainer's process: the running engine takes the new weights after each step."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from trainer.config import GrpoConfig
from trainer.policy import decode
from trainer.rollout.base import Completion, Group

if TYPE_CHECKING:
    from trainer.prompts import Prompt


class VllmRollout:
    """An engine started on a model folder. It samples from the folder's weights until the first push.

    On CPU it computes in float32 (in bfloat16 its log-probabilities are 0.04 off the trainer's), eagerly, and a prompt
    in one piece: seeded sampling does not survive chunked prefill there.
    """

    name = "vllm"

    def __init__(
        self, model: str, tokenizer: Any, config: GrpoConfig, *, longest_prompt: int, ends: frozenset[int]
    ) -> None:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # one process: weights are handed over, not sent
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB
        from vllm import LLM

        on_cpu = not torch.cuda.is_available()
        length = longest_prompt + config.max_completion
        self._tokenizer, self._longest, self._ends = tokenizer, config.max_completion, sorted(ends)
        self._llm = LLM(
            model=model,
            dtype="float32" if on_cpu else config.precision,
            max_model_len=length,
            generation_config="vllm",
            enforce_eager=on_cpu,
            enable_chunked_prefill=not on_cpu,
            max_num_batched_tokens=max(length, 8192),
            gpu_memory_utilization=config.rollout_memory,
            disable_log_stats=True,
            distributed_executor_backend="external_launcher" if config.ranks > 1 else None,
        )
        # a push of the layers that an adapter changed is reported as a load that missed the others
        logging.getLogger("vllm.model_executor.model_loader.reload").setLevel(logging.ERROR)

    def sample(
        self, prompts: Sequence[Prompt], prompt_ids: Sequence[Sequence[int]], group_size: int, *, seed: int
    ) -> list[Group]:
        """See `Rollout.sample`. A prompt is prefilled once for its group: vLLM's prefix cache holds it."""
        from vllm import SamplingParams, TokensPrompt

        seeds = range(seed, seed + group_size * len(prompts), group_size)  # a group's texts take the seeds in between
        settings = [
            SamplingParams(
                n=group_size,
                temperature=1.0,
                max_tokens=self._longest,
                logprobs=0,
                seed=first_seed,
                detokenize=False,
                stop_token_ids=self._ends,
            )
            for first_seed in seeds
        ]
        asked = [TokensPrompt(prompt_token_ids=list(ids)) for ids in prompt_ids]
        answers = self._llm.generate(asked, settings, use_tqdm=False)
        return [
            Group(prompt, tuple(ids), tuple(self._completion(output) for output in answer.outputs))
            for prompt, ids, answer in zip(prompts, prompt_ids, answers, strict=True)
        ]

    def push(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Load the weights in place, layer by layer; what was cached under the old ones is forgotten."""
        self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(weights)})
        self._llm.apply_model(_repack_tied_head)
        self._llm.reset_prefix_cache()

    def _completion(self, output: Any) -> Completion:
        ids = tuple(output.token_ids)
        logprobs = tuple(float(step[token].logprob) for token, step in zip(ids, output.logprobs, strict=True))
        return Completion(ids, decode(self._tokenizer, ids), output.finish_reason == "stop", logprobs)


def _repack_tied_head(model: Any) -> None:
    """vLLM 0.32 on CPU keeps a packed copy of the head, which a reload rebuilds only where the head has weights of
    its own.
    """
    head = getattr(model, "lm_head", None)
    if head is not None and model.config.tie_word_embeddings:
        head.quant_method.process_weights_after_loading(head)
