"""Advertisers' own rules as a replica holds them: every body, and the most recently used ones compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cachetools import LRUCache

from adtext.advertiser import AdvertiserRules, OwnChecks
from adtext.rules import Rules

COMPILED = 1_000  # advertisers whose rules are compiled: about 150 KiB each


class OwnRules:
    """`of(rules, advertiser)`: the rules that apply to the advertiser's texts."""

    def __init__(self) -> None:
        self._bodies: dict[str, Mapping[str, Any]] = {}
        self._compiled: LRUCache[str, Rules] = LRUCache(COMPILED)
        self._base: Rules | None = None  # what the compiled ones stand on

    def __len__(self) -> int:
        return len(self._bodies)

    def update(self, changed: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Take over new bodies; None: the advertiser has no rules of its own any more."""
        for advertiser, body in changed.items():
            self._compiled.pop(advertiser, None)
            if body is None:
                self._bodies.pop(advertiser, None)
            else:
                self._bodies[advertiser] = body

    def of(self, rules: Rules, advertiser: str) -> Rules:
        if advertiser not in self._bodies:
            return rules
        if rules is not self._base:
            self._compiled.clear()
            self._base = rules
        found = self._compiled.get(advertiser)
        if found is None:
            own = OwnChecks(AdvertiserRules.model_validate(self._bodies[advertiser]))
            found = self._compiled[advertiser] = rules.of_advertiser(own)
        return found
