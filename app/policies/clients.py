"""The writer of each policy version, created when first needed and then kept: one HTTP client per endpoint."""

from __future__ import annotations

import asyncio

from app.core.settings import Settings
from app.policies.base import Writer
from app.policies.nlg import NlgWriter
from app.policies.outages import Outages, Watched
from app.policies.vllm_http import VllmWriter
from trainer.registry import PolicyVersion


class PolicyClients:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.outages = Outages()
        self._made: dict[str, Writer] = {}

    def __call__(self, policy: PolicyVersion) -> Writer:
        writer = self._made.get(policy.version)
        if writer is None:
            writer = self._made[policy.version] = Watched(self._make(policy), policy.version, self.outages)
        return writer

    def _make(self, policy: PolicyVersion) -> Writer:
        if policy.kind == "nlg":
            return NlgWriter()
        endpoint = policy.endpoint or self._settings.policy_url
        return VllmWriter(
            policy, endpoint, timeout_s=self._settings.policy_timeout_s, concurrency=self._settings.policy_concurrency
        )

    async def close(self) -> None:
        await asyncio.gather(*(writer.close() for writer in self._made.values()))
