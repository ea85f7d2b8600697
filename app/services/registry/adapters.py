"""LoRA adapters of policies, loaded into a running vLLM under their own names. Their base stays as it is."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import httpx

from app.core.problems import Problem
from app.core.settings import Settings
from app.policies.addresses import CheckedTransport
from trainer.registry import PolicyVersion

log = logging.getLogger(__name__)

LOAD_S = 120.0  # reading an adapter from a network disk
ASK_S = 5.0
ENGINE = "python -m vllm.entrypoints.openai.api_server"


class Adapters:
    """Makes the servers of policies answer to them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def serve(self, policy: PolicyVersion) -> bool:
        """Load the policy's adapter unless its server knows the model already; returns whether it was loaded now.

        Problem where the server cannot be reached or takes no adapters, or the weights are no adapter of its base.
        """
        endpoint = (policy.endpoint or self._settings.policy_url).rstrip("/")
        if not endpoint:
            detail = f"{policy.version} has no server: set RELATE_POLICY_URL, or register it with an endpoint"
            raise _problem(policy, "policy_unreachable", detail)
        async with _client(endpoint) as http:
            models = await _models(http, policy, endpoint)
            if policy.model in {model.get("id") for model in models}:
                return False
            place = self._place(policy)
            _require_base(policy, place, models)
            body = {"lora_name": policy.model, "lora_path": str(place)}
            answer = await _asked(policy, endpoint, http.post("/v1/load_lora_adapter", json=body, timeout=LOAD_S))
            if answer.is_success:
                log.info("adapter loaded", extra={"policy": policy.version, "endpoint": endpoint})
                return True
            if policy.model in {model.get("id") for model in await _models(http, policy, endpoint)}:
                return False  # another replica was faster
        raise _refused(policy, endpoint, answer)

    def _place(self, policy: PolicyVersion) -> Path:
        """The adapter's folder. Problem where there is none."""
        if policy.artifact is None:
            raise _problem(
                policy, "no_artifact",
                f"the weights of {policy.version} are not registered: its server must know {policy.model} by itself",
            )  # fmt: skip
        root = self._settings.data_dir.resolve()
        place = (root / policy.artifact).resolve()
        if "://" in policy.artifact or not place.is_relative_to(root) or not place.is_dir():
            raise _problem(
                policy, "artifact_not_here",
                f"the weights of {policy.version} ({policy.artifact}) are not in the data directory {root}: copy them "
                "there, or start a server that answers to them",
            )  # fmt: skip
        if not (place / "adapter_config.json").is_file():
            raise _problem(
                policy, "full_weights",
                f"{policy.version} has full weights, and a running server keeps the ones it has. Start a second one: "
                f"{ENGINE} --model {place} --served-model-name {policy.model} --port 8001; then register it with "
                f"`relate policies register --model {policy.model} --endpoint http://HOST:8001 …`",
            )  # fmt: skip
        return place


def _client(endpoint: str) -> httpx.AsyncClient:
    transport = CheckedTransport(verify=endpoint.startswith("https:"), limits=httpx.Limits(max_connections=1))
    return httpx.AsyncClient(base_url=endpoint, timeout=ASK_S, transport=transport, trust_env=False)


async def _asked(policy: PolicyVersion, endpoint: str, call: Any) -> httpx.Response:
    try:
        answer: httpx.Response = await call
    except (httpx.HTTPError, httpx.StreamError) as error:
        what = str(error) or f"no answer ({type(error).__name__})"
        raise _problem(
            policy,
            "policy_unreachable",
            f"the server of {policy.version} cannot be reached: {endpoint} {what}. Start it",
        ) from error
    return answer


async def _models(http: httpx.AsyncClient, policy: PolicyVersion, endpoint: str) -> list[dict[str, Any]]:
    """What the server answers to. vLLM lists its base models first, then adapters, with their parent."""
    answer = await _asked(policy, endpoint, http.get("/v1/models"))
    try:
        found = answer.raise_for_status().json()["data"]
        return [model for model in found if isinstance(model, dict)]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise _problem(
            policy, "policy_unreachable",
            f"the server of {policy.version} lists no models: {endpoint}/v1/models answered {answer.status_code}. Name "
            "a vLLM server",
        ) from error  # fmt: skip


def _require_base(policy: PolicyVersion, place: Path, models: list[dict[str, Any]]) -> None:
    """Refuse an adapter of another base: a server would add it to its own without a word. Paths may differ between
    machines, so the last part of the name decides.
    """
    settings = json.loads((place / "adapter_config.json").read_text(encoding="utf-8"))
    base = str(settings.get("base_model_name_or_path") or "")
    served = [str(model.get("root") or model.get("id")) for model in models if model.get("parent") is None]
    if Path(base).name not in {Path(root).name for root in served}:
        raise _problem(
            policy, "other_base",
            f"{policy.version} is an adapter of {base or 'a base that it does not name'}, and its server has "
            f"{', '.join(served) or 'no base model'}: start a second one with {ENGINE} --model {base} --enable-lora "
            f"--lora-modules {policy.model}={place}",
        )  # fmt: skip


def _refused(policy: PolicyVersion, endpoint: str, answer: httpx.Response) -> Problem:
    if answer.status_code in (404, 405):
        return _problem(
            policy, "no_runtime_adapters",
            f"{endpoint} loads no adapters while it runs: start `relate up` with RELATE_RUNTIME_ADAPTERS=true, or vLLM "
            "with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1",
        )  # fmt: skip
    try:
        said = str(answer.json()["error"]["message"])[:300]
    except (ValueError, KeyError, TypeError):
        said = f"status {answer.status_code}"
    return _problem(policy, "adapter_refused", f"{endpoint} did not load {policy.version}: {said}")


def _problem(policy: PolicyVersion, rule: str, detail: str) -> Problem:
    return Problem(409, rule, " ".join(detail.split()), field="version", value=policy.version)
