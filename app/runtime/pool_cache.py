"""The pool: approved texts by key, the heads of the keys in memory, and the rotation of texts per unit."""

from __future__ import annotations

import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from cachetools import LRUCache

from adtext.brief import AdBrief, AdText
from adtext.remember import footprint
from adtext.spec import TextSpec

ROTATION_ENTRIES = (
    200_000  # (unit, key) counts that a process keeps: about 40 MiB, since all entries have the same size
)
_HEAD_BYTES = 500
_TEXT_BYTES = 300  # beside the text itself: id, policy, rules version, references


@dataclass(frozen=True, slots=True)
class PooledText:
    """A committed, approved text."""

    id: bytes
    text: AdText
    policy_id: int
    policy: str
    origin: str  # model | template | advertiser
    rules_version: str  # the rules it last passed


@dataclass(slots=True)
class Head:
    """The texts of one key that are held in memory."""

    texts: Sequence[PooledText]  # all that are approved
    born: float  # wall-clock seconds of the newest text: staleness
    attempted: float = float("-inf")  # monotonic seconds of the last refill: a thin pool is not refilled on every hit
    without: frozenset[str] = frozenset()  # a fallback was made without these withdrawn texts of the advertiser
    allowed: Sequence[PooledText] = ()  # the texts that pass the rules `allowed_by`
    allowed_by: str = ""


def brief_digest(brief: AdBrief) -> bytes:
    """The digest of everything in the brief that a text may use. Requests with the same digest may share texts;
    advertisers never do.
    """
    return _digest(brief.locale, brief.ad.id, brief.ad.industry, *brief.facts())


def brief_words(brief: AdBrief) -> str:
    """Query and bidwords, normalised: NFKC, case and spacing do not change the key."""
    words = "\x1e".join((brief.query, *brief.bidwords))
    return " ".join((words if words.isascii() else unicodedata.normalize("NFKC", words)).casefold().split())


def pool_key(policy: str, spec: TextSpec, brief: AdBrief) -> bytes:
    """Policy version, spec, locale, advertiser, ad, the brief's facts, normalised query and bidwords. 16
    bytes.
    """
    ad = brief.ad
    return _digest(
        policy, spec.name, spec.version, brief.locale, ad.id, ad.industry, brief_words(brief),
        ad.advertiser, ad.business, "\x1e".join(ad.selling_points), "\x1e".join(ad.brands), ad.landing_page,
    )  # fmt: skip


def fallback_key(spec: TextSpec, brief: AdBrief) -> bytes:
    """The key of the fallback texts: it depends on the ad only."""
    ad = brief.ad
    approved = "\x1e".join(value for text in ad.approved for _, value in text.fields())
    return _digest(
        "fallback", spec.name, spec.version, brief.locale, ad.id, ad.industry, "\x1e".join(brief.bidwords),
        ad.advertiser, ad.business, "\x1e".join(ad.selling_points), "\x1e".join(ad.brands), ad.landing_page, approved,
    )  # fmt: skip


def _digest(*parts: str) -> bytes:
    return blake2b("\x1f".join(parts).encode(), digest_size=16).digest()


class Heads:
    """Pool heads in memory. The least recently used heads are evicted first. `capacity` is in bytes."""

    def __init__(self, capacity: int) -> None:
        self._heads: LRUCache[bytes, Head] = LRUCache(capacity, getsizeof=_size)

    def __len__(self) -> int:
        return len(self._heads)

    def get(self, key: bytes) -> Head | None:
        return self._heads.get(key)

    def put(self, key: bytes, head: Head) -> None:
        self._heads[key] = head

    def drop(self, key: bytes) -> None:
        self._heads.pop(key, None)

    def clear(self) -> None:
        self._heads.clear()


def _size(head: Head) -> int:
    """The size of a head in bytes, with the overhead of the cache."""
    return _HEAD_BYTES + sum(_TEXT_BYTES + footprint(text.text) for text in head.texts)


class Rotation:
    """Fatigue-aware rotation: a unit starts at hash(unit, key) and advances by one text with each request.

    Exact in one process, approximate across replicas. The rule is the same in every arm.
    """

    def __init__(self, capacity: int = ROTATION_ENTRIES) -> None:
        self._capacity = capacity
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    def choose(
        self, texts: Sequence[PooledText], unit: bytes, key: bytes, n: int, seen: frozenset[bytes] = frozenset()
    ) -> list[PooledText]:
        """The next n texts for this unit, unseen ones first. Fewer where the pool holds fewer."""
        identity = unit + key
        served = self._counts.pop(identity, 0)
        self._counts[identity] = served + n
        if len(self._counts) > self._capacity:
            self._counts.popitem(last=False)
        start = int.from_bytes(unit[:4], "big") + int.from_bytes(key[:4], "big") + served
        size = len(texts)
        turn = [texts[(start + step) % size] for step in range(size if seen else min(n, size))]
        if seen:
            turn.sort(key=lambda text: text.id in seen)  # stable: the rotation's order holds within unseen and seen
        return turn[:n]
