"""Filters withdrawn texts: before a text is stored, and again before it is served."""

from __future__ import annotations

from collections.abc import Sequence

from adtext.brief import AdText
from adtext.remember import remember
from app.runtime.pool_cache import PooledText
from app.store.withdrawals import Withdrawn, wording_key

_key = remember(4)(wording_key)


def servable(texts: Sequence[PooledText], advertiser: str, withdrawn: Withdrawn) -> Sequence[PooledText]:
    """The texts that may be served, in their order. It costs nothing while nothing is withdrawn."""
    if not withdrawn:
        return texts
    if withdrawn.holds_advertiser(advertiser):
        return ()
    wordings = withdrawn.wordings(advertiser)
    if not wordings and not withdrawn.policies:
        return texts
    return [pooled for pooled in texts if pooled.policy not in withdrawn.policies and not holds(wordings, pooled.text)]


def holds(wordings: frozenset[str], text: AdText) -> bool:
    """Whether these withdrawn texts of an advertiser (`Withdrawn.wordings`) hold this one."""
    return bool(wordings) and _key(text) in wordings
