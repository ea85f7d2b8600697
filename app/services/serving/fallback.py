"""What is served when the policy's own text is not there in time, or not allowed: the advertiser's approved text, else
the template.

Both are checked like any other text, and committed with their provenance before they are first served.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from hashlib import blake2b
from itertools import islice

from adtext.brief import AdBrief
from adtext.checks import check, is_compliant
from adtext.rules import Rules
from adtext.spec import TextSpec
from adtext.templates import compose
from app.core.contract import TextState
from app.runtime.pool_cache import Head, Heads, PooledText, brief_digest
from app.runtime.single_flight import SingleFlight
from app.runtime.state import ReplicaState
from app.services.compliance.off_loop import weighed
from app.services.serving.candidates import Candidate, compliant_candidate, identity
from app.store.database import Database, Unavailable
from app.store.group_commit import GroupCommit
from app.store.texts import Batch, NewText, save_batches

TEMPLATES = 8  # template texts looked at for one ad


class Fallback:
    """Its heads share the pool's memory and its invalidation: a text that a reviewer rejects goes from both at once."""

    def __init__(self, database: Database, state: ReplicaState, heads: Heads) -> None:
        self._state, self._heads = state, heads
        self._commits = GroupCommit(database.direct, save_batches)
        self._making = SingleFlight[bytes, Sequence[PooledText]]("the fallback", expected=Unavailable)

    def prepare(self, key: bytes, brief: AdBrief, spec: TextSpec) -> asyncio.Future[Sequence[PooledText]]:
        """The ad's fallback texts, at once where memory has them under the rules in force, else as soon as they are
        checked and committed.

        A caller that starts this when it begins to wait for the model loses nothing when the model is late. One making
        a key, however many ask; it goes on when they give up. Empty where nothing is allowed. Raises Unavailable with
        the database down.
        """
        rules = self._state.rules
        head = self._heads.get(key)
        if head is not None and all(one.rules_version == rules.version for one in head.texts):
            ready: asyncio.Future[Sequence[PooledText]] = asyncio.get_running_loop().create_future()
            ready.set_result(head.texts)
            return ready
        return self._making.join(key, lambda: self._make(key, brief, spec, rules))

    async def _make(self, key: bytes, brief: AdBrief, spec: TextSpec, rules: Rules) -> Sequence[PooledText]:
        """The query is left out of the brief: these texts serve whoever asks, and must not lean on what one user
        typed.
        """
        nlg = next((policy for policy in self._state.registry.policies.values() if policy.kind == "nlg"), None)
        own = brief.model_copy(update={"query": brief.bidwords[0] if brief.bidwords else brief.ad.advertiser})
        approved = sum(len(value) for text in own.ad.approved for _, value in text.fields())
        chars = approved + sum(map(len, own.facts()))
        chosen = await weighed(chars, lambda: _advertiser(own, spec, rules))
        origin, policy = "advertiser", "advertiser"
        # a template text is a fresh text: regulated industries review it first
        if not chosen and nlg is not None and not own.regulated:
            chosen, origin, policy = await weighed(chars, lambda: _templates(own, spec, rules)), "template", nlg.version
        policy_id = nlg.id if nlg is not None else 0
        texts = [
            NewText(_identity(key, one), one.text, origin, TextState.APPROVED, one.score, one.findings)
            for one in chosen
        ]
        servable: frozenset[bytes] = frozenset()
        if texts:
            servable = await self._commits.submit(
                Batch(key, own, brief_digest(own), spec.name, spec.version, rules.version, policy_id, texts)
            )
        pooled = [
            PooledText(new.id, new.text, policy_id, policy, origin, rules.version)
            for new in texts
            if new.id in servable
        ]
        self._heads.put(key, Head(pooled, born=time.time()))
        return pooled


def _advertiser(brief: AdBrief, spec: TextSpec, rules: Rules) -> list[Candidate]:
    """The advertiser's approved texts that pass. People approved them: a finding that asks for review does not hold
    them back.
    """
    checked = ((text, check(text, brief, spec, rules)) for text in brief.ad.approved)
    return [Candidate(text, findings, score=1.0) for text, findings in checked if is_compliant(findings)]


def _templates(brief: AdBrief, spec: TextSpec, rules: Rules) -> list[Candidate]:
    kept: dict[str, Candidate] = {}
    for text in islice(compose(brief, spec, seed=0), TEMPLATES):
        candidate = compliant_candidate(text, brief, spec, rules)
        if candidate is not None and not candidate.needs_review:
            kept.setdefault(identity(text), candidate)
    return list(kept.values())


def _identity(key: bytes, candidate: Candidate) -> bytes:
    """The same text of the same ad is the same row, on every replica and after every restart."""
    return blake2b(key + identity(candidate.text).encode(), digest_size=16).digest()
