"""Outages of policies: which policies do not answer, since when, and how many fallback texts were served meanwhile."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import monotonic, time

from adtext.brief import AdBrief
from adtext.spec import TextSpec
from app.core.logs import utc
from app.core.metrics import POLICY_UP
from app.policies.base import Writer, WriterAnswer, WriterUnavailable

log = logging.getLogger(__name__)

REPEAT_S = 60.0  # an outage that lasts is logged this often
# a server whose calls fail counts as down for this long after the last failure, even if its health check passes
SURE_S = 10.0


@dataclass(slots=True)
class _Outage:
    since: float  # Unix time
    began: float  # monotonic seconds, as the two below
    logged: float
    failed: float
    texts: int = 0  # served by the fallback chain


class Outages:
    """One per process."""

    def __init__(self) -> None:
        self._down: dict[str, _Outage] = {}  # by policy version
        self._shown: set[str] = set()  # versions with a gauge

    def failed(self, version: str) -> None:
        """Record that a call or the health check failed."""
        now = monotonic()
        outage = self._down.setdefault(version, _Outage(time(), now, now, now))
        outage.failed = now
        self._show(version, up=False)
        if now - outage.logged > REPEAT_S:
            outage.logged = now
            log.warning("policy does not answer", extra=_told(version, outage))

    def answered(self, version: str) -> None:
        """Record that a call was answered."""
        self._show(version, up=True)
        if (outage := self._down.pop(version, None)) is not None:
            log.warning("policy answers again", extra=_told(version, outage))

    def checked(self, version: str, *, healthy: bool) -> None:
        """Record the result of the health check."""
        outage = self._down.get(version)
        if not healthy:
            self.failed(version)
        elif outage is None or monotonic() - outage.failed > SURE_S:
            self.answered(version)

    def fell_back(self, version: str, texts: int) -> None:
        """Count texts of the fallback chain that were served instead of the policy's."""
        if (outage := self._down.get(version)) is not None:
            outage.texts += texts

    def keep(self, versions: set[str]) -> None:
        """Keep only these policies: the others are no longer in use."""
        for version in self._shown - versions:
            POLICY_UP.remove(version)
            self._down.pop(version, None)
        self._shown &= versions

    def _show(self, version: str, *, up: bool) -> None:
        self._shown.add(version)
        POLICY_UP.labels(version).set(up)


def _told(version: str, outage: _Outage) -> dict[str, object]:
    return {
        "policy": version,
        "since": utc(outage.since),
        "seconds": round(monotonic() - outage.began, 1),
        "texts_fell_back": outage.texts,
    }


class Watched:
    """A writer whose answers and failures are recorded."""

    def __init__(self, writer: Writer, version: str, outages: Outages) -> None:
        self._writer, self._version, self._outages = writer, version, outages

    @property
    def down(self) -> bool:
        return self._writer.down

    async def write(self, brief: AdBrief, spec: TextSpec, *, n: int, seed: int) -> WriterAnswer:
        try:
            draft = await self._writer.write(brief, spec, n=n, seed=seed)
        except WriterUnavailable:
            self._outages.failed(self._version)
            raise
        self._outages.answered(self._version)
        return draft

    async def healthy(self) -> bool:
        healthy = await self._writer.healthy()
        self._outages.checked(self._version, healthy=healthy)
        return healthy

    async def close(self) -> None:
        await self._writer.close()
