"""The fallback chain, for requests where the policy's text is late or not allowed: the advertiser's approved text, else
the template's.

Both are checked like all other texts, and are committed with their provenance before they are served.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

from adtext.brief import AdBrief, wording
from adtext.checks import check, is_compliant
from adtext.rules import Rules
from adtext.spec import TextSpec
from adtext.templates import compose
from app.core.contract import HeldFor, TextState
from app.runtime.pool_cache import Head, Heads, PooledText, brief_digest
from app.runtime.single_flight import SingleFlight
from app.runtime.state import ReplicaState
from app.services.compliance.off_loop import weighed
from app.services.serving.candidates import Candidate, compliant_candidate
from app.services.serving.withdrawn import holds
from app.store.database import Database, Unavailable
from app.store.group_commit import GroupCommit
from app.store.texts import Batch, NewText, save_batches
from trainer.registry import PolicyVersion

TEMPLATES = 8  # template texts that are checked for one ad


@dataclass(frozen=True, slots=True)
class _Order:
    """The ad that fallback texts are stored for."""

    key: bytes
    brief: AdBrief
    spec: TextSpec
    rules: Rules


class Fallback:
    """Fallback heads share the memory and the invalidation of the pool: a rejected text leaves both at once."""

    def __init__(self, database: Database, state: ReplicaState, heads: Heads) -> None:
        self._state, self._heads = state, heads
        self._commits = GroupCommit(database.direct, save_batches)
        self._making = SingleFlight[bytes, Sequence[PooledText]]("the fallback", expected=Unavailable)

    def prepare(self, key: bytes, brief: AdBrief, spec: TextSpec) -> asyncio.Future[Sequence[PooledText]]:
        """The fallback texts of the ad: at once where they are in memory and passed the current rules, else as soon as
        they are checked and committed.

        A caller that starts this when it begins to wait for the model loses nothing when the model is late. One making
        a key, however many ask; it goes on when they give up. Empty where nothing is allowed. Raises Unavailable with
        the database down.
        """
        rules = self._state.rules_of(brief.ad.advertiser)
        without = self._state.registry.withdrawn.wordings(brief.ad.advertiser)
        head = self._heads.get(key)
        if head is not None and head.without == without and head.allowed_by == rules.version:
            ready: asyncio.Future[Sequence[PooledText]] = asyncio.get_running_loop().create_future()
            ready.set_result(head.texts)
            return ready
        return self._making.join(key, lambda: self._make(key, brief, spec, rules, without))

    async def _make(
        self, key: bytes, brief: AdBrief, spec: TextSpec, rules: Rules, without: frozenset[str]
    ) -> Sequence[PooledText]:
        """The advertiser's approved texts, else the template's, without the withdrawn ones.

        The query is removed from the brief: these texts serve all users and must not use the query of one.
        """
        own = brief.model_copy(update={"query": brief.bidwords[0] if brief.bidwords else brief.ad.advertiser})
        order = _Order(key, own, spec, rules)
        approved = sum(len(value) for text in own.ad.approved for _, value in text.fields())
        chars = approved + sum(map(len, own.facts()))

        def not_withdrawn(candidates: Iterable[Candidate]) -> list[Candidate]:
            return [candidate for candidate in candidates if not holds(without, candidate.text)]

        own_texts = await weighed(chars, lambda: not_withdrawn(_advertiser(own, spec, rules)))
        texts = await self._saved(order, own_texts, "advertiser")
        # a template text is new: in regulated industries it is reviewed first
        if not texts and self._nlg is not None and not own.regulated:
            composed = await weighed(chars, lambda: not_withdrawn(_templates(own, spec, rules)))
            texts = await self._saved(order, composed, "template")
        self._heads.put(key, Head(texts, born=time.time(), without=without, allowed_by=rules.version))
        return texts

    async def _saved(self, order: _Order, candidates: Sequence[Candidate], origin: str) -> list[PooledText]:
        """Commit the texts; returns those that may be served."""
        if not candidates:
            return []
        policy_id = self._nlg.id if self._nlg is not None else 0
        policy = self._nlg.version if self._nlg is not None and origin == "template" else "advertiser"
        texts = [
            NewText(
                _identity(order.key, candidate),
                candidate.text,
                origin,
                TextState.REVIEW if candidate.needs_review else TextState.APPROVED,
                candidate.score,
                candidate.findings,
                [HeldFor.FINDING] if candidate.needs_review else [],
            )
            for candidate in candidates
        ]
        batch = Batch(
            order.key,
            order.brief,
            brief_digest(order.brief),
            order.spec.name,
            order.spec.version,
            order.rules.version,
            policy_id,
            texts,
        )
        servable = await self._commits.submit(batch)
        return [
            PooledText(new.id, new.text, policy_id, policy, origin, order.rules.version)
            for new in texts
            if new.id in servable
        ]

    @property
    def _nlg(self) -> PolicyVersion | None:
        return next((policy for policy in self._state.registry.policies.values() if policy.kind == "nlg"), None)


def _advertiser(brief: AdBrief, spec: TextSpec, rules: Rules) -> list[Candidate]:
    """The advertiser's approved texts that pass. One with a finding of severity review waits for a reviewer, who does
    not work for the advertiser.
    """
    checked = ((text, check(text, brief, spec, rules)) for text in brief.ad.approved)
    return [Candidate(text, findings, score=1.0) for text, findings in checked if is_compliant(findings)]


def _templates(brief: AdBrief, spec: TextSpec, rules: Rules) -> list[Candidate]:
    kept: dict[str, Candidate] = {}
    for text in islice(compose(brief, spec, seed=0), TEMPLATES):
        candidate = compliant_candidate(text, brief, spec, rules)
        if candidate is not None and not candidate.needs_review:
            kept.setdefault(wording(text), candidate)
    return list(kept.values())


def _identity(key: bytes, candidate: Candidate) -> bytes:
    """The id of the row: the same for the same text of the same ad, on every replica and after every restart."""
    return blake2b(key + wording(candidate.text).encode(), digest_size=16).digest()
