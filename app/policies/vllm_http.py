"""A language model behind vLLM's OpenAI-compatible server. One call draws n samples, and is cancelled on the server
when no caller waits for it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from time import monotonic
from typing import Any

import httpx

from adtext.brief import AdBrief
from adtext.prompt import CHAT_TEMPLATE_ARGUMENTS, completion_pattern, render
from adtext.spec import TextSpec
from app.policies import bounded
from app.policies.addresses import CheckedTransport
from app.policies.base import WriterAnswer, WriterUnavailable
from trainer.registry import PolicyVersion

log = logging.getLogger(__name__)

DOWN_S = (
    1.0  # after a failure the server is not called for this long, so that not every caller waits for the same failure
)


class VllmWriter:
    """Implements `app.policies.base.Writer` over HTTP."""

    def __init__(self, policy: PolicyVersion, endpoint: str, *, timeout_s: float, concurrency: int) -> None:
        self._policy = policy
        self._timeout_s = timeout_s
        self._down_until = float("-inf")
        self._http = httpx.AsyncClient(
            base_url=endpoint.rstrip("/"),
            timeout=httpx.Timeout(timeout_s, connect=1.0),
            transport=CheckedTransport(
                # created here: reading the certificates would block the event loop for 50 ms at the first miss
                verify=endpoint.startswith("https:"),
                limits=httpx.Limits(max_connections=concurrency + 2, max_keepalive_connections=concurrency),
            ),
            trust_env=False,  # a proxy from the environment must not see briefs
        )

    @property
    def down(self) -> bool:
        return monotonic() < self._down_until

    async def write(self, brief: AdBrief, spec: TextSpec, *, n: int, seed: int) -> WriterAnswer:
        if self.down:
            raise WriterUnavailable(
                f"{self._policy.version}: {self._http.base_url} failed within the last {DOWN_S:g} s"
            )
        body = request_body(self._policy, brief, spec, n=n, seed=seed)
        try:
            answer = await bounded.post(self._http, "/v1/chat/completions", body, self._timeout_s)
            completions = bounded.completions(answer, n)
        except (httpx.HTTPError, httpx.StreamError, TimeoutError, bounded.UnusableAnswer) as error:
            raise self._failed(error) from error
        asked = hashlib.sha256(json.dumps(body["messages"], ensure_ascii=False).encode()).hexdigest()[:16]
        return WriterAnswer(completions.texts, prompt_hash=asked, seed=seed, cut=completions.cut)

    def _failed(self, error: Exception) -> WriterUnavailable:
        """Log one line for all calls that fail while the server is not called."""
        what = str(error).partition("\n")[0] or f"no whole answer within {self._timeout_s:g} s"
        if not self.down:
            log.warning(
                "policy server failed",
                extra={
                    "policy": self._policy.version,
                    "endpoint": str(self._http.base_url),
                    "error": type(error).__name__,
                    "reason": what,
                },
            )
        self._down_until = monotonic() + DOWN_S
        return WriterUnavailable(f"{self._policy.version}: {self._http.base_url} {type(error).__name__}: {what}")

    async def healthy(self) -> bool:
        try:
            return (await self._http.get("/health", timeout=1.0)).is_success
        except httpx.HTTPError:
            return False

    async def close(self) -> None:
        await self._http.aclose()


def request_body(policy: PolicyVersion, brief: AdBrief, spec: TextSpec, *, n: int, seed: int) -> dict[str, Any]:
    """The body of `POST /v1/chat/completions` for one brief under a policy's decoding."""
    decoding = policy.decoding
    body: dict[str, Any] = {
        "model": policy.model,
        "messages": render(brief, spec, examples=decoding.examples, control_tokens=decoding.control_tokens),
        "chat_template_kwargs": dict(CHAT_TEMPLATE_ARGUMENTS),
        "n": n,
        "seed": seed,
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        # a model folder may set its own default (Qwen3: top_k 20): only the policy's row decides its decoding
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "max_tokens": decoding.max_tokens,
    }
    if decoding.structured:
        body["structured_outputs"] = {"regex": completion_pattern(spec, brief.language)}
    return body
