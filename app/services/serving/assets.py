"""Asset sets for ad platforms that combine headlines and descriptions themselves.

Lines come from the pool's approved texts and the advertiser's own, then from further samples of the champion, then from
templates. They pass the checks that serving uses, and a combination that the platform may show is never a text that
/generate may not serve: withdrawn, rejected, waiting for a reviewer, or not passed by the judge.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from adtext.assets import ASSETS, KINDS, Candidate, Chosen, Kind, LeftOut, choose
from adtext.brief import AdBrief, AdText
from adtext.rules import Rules
from adtext.spec import TextSpec, load_spec, measure
from adtext.templates import parts
from app.core.contract import Reason
from app.core.problems import Problem
from app.policies.base import WriterUnavailable
from app.policies.clients import PolicyClients
from app.runtime.pool_cache import PooledText, pool_key
from app.runtime.state import ReplicaState
from app.services.compliance.off_loop import crowded, weighed
from app.services.serving.generation import Generation, Order, Overloaded
from app.services.serving.judging import Judging
from app.services.serving.pool_loader import PoolLoader
from app.services.serving.withdrawn import holds, servable
from app.store.database import Database
from app.store.texts import withheld_texts
from app.store.withdrawals import Withdrawn, withdrawn_lines
from trainer.registry import PolicyVersion

ROUNDS, SAMPLES = 3, 10  # calls of the policy for one set, and samples per call
WRITTEN: dict[Kind, int] = {"headline": 24, "description": 8}  # lines of a model: each is judged with each of the other
LINES = 48  # other lines of a kind
JUDGED_AT_ONCE = 16  # pairs of one call of the judge: other texts are judged in between
ATTEMPTS = 3  # sets made anew because rules or withdrawals changed meanwhile

Source = Literal["pool", "fresh", "advertiser", "template"]
_TIERS: dict[Source, int] = {"pool": 0, "advertiser": 0, "fresh": 1, "template": 2}


@dataclass(frozen=True, slots=True)
class Asset:
    """A line of a set, and where it comes from."""

    text: str
    source: Source
    policy: str
    text_id: bytes | None = None  # the stored text that it was written in; None: the request's own, or a template's
    judged: bool = False  # written by a model: the judge reads it in every combination


@dataclass(frozen=True, slots=True)
class AssetSet:
    assets: dict[Kind, list[Asset]]
    left_out: dict[Kind, Counter[LeftOut]]
    reason: Reason | None  # why the policy wrote no more
    rules_version: str


@dataclass(slots=True)
class _Lines:
    """The lines that a set is chosen from. The first source of a line counts."""

    kept: dict[tuple[Kind, str], Asset] = field(default_factory=dict)
    pairs: set[tuple[str, str]] = field(default_factory=set)  # headline and description of one and the same text

    def add(self, text: AdText, source: Source, policy: str, text_id: bytes | None = None, model: bool = False) -> None:
        self.pairs.add((text.title, text.description))
        self.add_line("headline", Asset(text.title, source, policy, text_id, model))
        for value in (text.description, text.description_2):
            if value is not None:
                self.add_line("description", Asset(value, source, policy, text_id, model))

    def add_line(self, kind: Kind, asset: Asset) -> None:
        alike = [kept for (found, _), kept in self.kept.items() if found == kind and kept.judged == asset.judged]
        if len(alike) < (WRITTEN[kind] if asset.judged else LINES):
            self.kept.setdefault((kind, asset.text), asset)

    def written(self, kind: Kind) -> list[str]:
        """The model's own lines of this kind."""
        return [value for (found, value), asset in self.kept.items() if found == kind and asset.judged]

    def candidates(self) -> list[Candidate]:
        return [Candidate(kind, value, _TIERS[asset.source]) for (kind, value), asset in self.kept.items()]


class AssetSets:
    def __init__(
        self,
        database: Database,
        state: ReplicaState,
        pool_loader: PoolLoader,
        generation: Generation,
        clients: PolicyClients,
        judging: Judging,
    ) -> None:
        self._database, self._state, self._pool_loader = database, state, pool_loader
        self._generation, self._clients, self._judging = generation, clients, judging

    async def make(self, brief: AdBrief, platform: str, *, deadline: float) -> AssetSet:
        """The set of one ad. `deadline`: `perf_counter` after which no further sample is written.

        Raises Problem for a platform without asset sets, and Unavailable with the database down.
        """
        if platform not in ASSETS:
            raise Problem(
                422,
                "no_asset_sets",
                f"{platform} shows whole ads and combines no assets: send {' or '.join(ASSETS)}, or ask POST /generate "
                f"for texts of {platform}",
                field="platform",
                value=platform,
            )
        for _ in range(ATTEMPTS):
            before = self._state.registry.withdrawn
            made = await self._make(brief, load_spec(platform), before, deadline)
            rules = self._state.rules_of(brief.ad.advertiser).version
            # nothing is awaited between this and the answer
            if self._state.registry.withdrawn == before and made.rules_version in ("", rules):
                return made
        raise Problem(
            503, "overload", "rules or withdrawals are changing: try again in a moment", headers={"Retry-After": "1"}
        )

    async def _make(self, brief: AdBrief, spec: TextSpec, withdrawn: Withdrawn, deadline: float) -> AssetSet:
        rules, policy = self._state.rules_of(brief.ad.advertiser), self._state.registry.champion
        if withdrawn.holds_advertiser(brief.ad.advertiser):
            return AssetSet({kind: [] for kind in KINDS}, {kind: Counter() for kind in KINDS}, Reason.WITHDRAWN, "")
        making = _Making(brief, spec, rules, withdrawn, _Lines())
        order = Order(pool_key(policy.version, spec, brief), brief, spec, policy, SAMPLES)
        async with self._database.begin() as connection:
            making.withdrawn_lines = await withdrawn_lines(connection, brief.ad.advertiser)
            making.withheld = {(text.title, text.description) for text in await withheld_texts(connection, order.key)}
        wordings = withdrawn.wordings(brief.ad.advertiser)
        reason = self._closed(policy, brief, withdrawn)
        if reason in (None, Reason.REVIEW_REQUIRED):
            making.add(
                servable((await self._pool_loader.load(order.key)).texts, brief.ad.advertiser, withdrawn), "pool"
            )
        for text in brief.ad.approved:
            if not holds(wordings, text):
                making.lines.add(text, "advertiser", "advertiser")
        chosen = await self._chosen(making)
        for _ in range(ROUNDS):
            if reason is not None or making.complete(chosen):
                break
            fresh, reason = await self._written(order, deadline)
            making.add(servable(fresh, brief.ad.advertiser, withdrawn), "fresh")
            chosen = await self._chosen(making)
        if not making.complete(chosen) and (templates := self._templates(brief, withdrawn)) is not None:
            making.add_templates(templates)
            chosen = await self._chosen(making)
        found = {kind: [making.lines.kept[kind, asset.value] for asset in chosen.of(kind)] for kind in KINDS}
        return AssetSet(found, chosen.left_out, None if making.complete(chosen) else reason, rules.version)

    def _templates(self, brief: AdBrief, withdrawn: Withdrawn) -> str | None:
        """The version that composes templates; None where it may not. In regulated classes a person looks first."""
        versions = [policy.version for policy in self._state.registry.policies.values() if policy.kind == "nlg"]
        allowed = not brief.regulated and versions and versions[0] not in withdrawn.policies
        return versions[0] if allowed else None

    def _closed(self, policy: PolicyVersion, brief: AdBrief, withdrawn: Withdrawn) -> Reason | None:
        """Why the policy writes nothing for this brief; None where it may."""
        if policy.version in withdrawn.policies:
            return Reason.WITHDRAWN
        if not self._state.confirmed:
            return Reason.RULES_UNCONFIRMED
        if not policy.speaks(brief.locale):
            return Reason.POLICY_DOES_NOT_WRITE_LOCALE
        return Reason.REVIEW_REQUIRED if brief.regulated else None

    async def _written(self, order: Order, deadline: float) -> tuple[Sequence[PooledText], Reason | None]:
        """Further texts of the policy, at low priority, and why there are none."""
        writer = self._clients(order.policy)
        if writer.down:
            return (), Reason.POLICY_UNAVAILABLE
        try:
            async with asyncio.timeout(deadline - time.perf_counter()):
                fresh = await self._generation.wait(order, writer, None)
        except TimeoutError:
            return (), Reason.DEADLINE
        except WriterUnavailable:
            return (), Reason.POLICY_UNAVAILABLE
        except Overloaded:
            return (), Reason.OVERLOADED
        return fresh, None if fresh else Reason.NO_COMPLIANT_TEXT

    async def _chosen(self, making: _Making) -> Chosen:
        if crowded():
            raise Problem(
                503, "overload", "too many long texts are being checked: try again", headers={"Retry-After": "1"}
            )
        refused = making.withheld | await self._refused(making)
        candidates = making.lines.candidates()
        chars = sum(map(len, making.brief.facts())) + 30 * sum(len(candidate.value) for candidate in candidates)
        return await weighed(
            chars,
            lambda: choose(
                candidates,
                making.brief,
                making.spec,
                making.rules,
                withdrawn=making.withdrawn_lines,
                refused=refused,
            ),
        )

    async def _refused(self, making: _Making) -> set[tuple[str, str]]:
        """The combinations of the policy's lines that the judge would not serve."""
        unread = [pair for pair in making.combinations() if pair not in making.verdicts]
        for at in range(0, len(unread), JUDGED_AT_ONCE):
            pairs = unread[at : at + JUDGED_AT_ONCE]
            texts = [AdText(title=title, description=description) for title, description in pairs]
            making.verdicts |= zip(pairs, await self._judging.serves(texts, making.brief), strict=True)
        return {pair for pair, serves in making.verdicts.items() if not serves}


@dataclass(slots=True)
class _Making:
    """What a set is made from, so far."""

    brief: AdBrief
    spec: TextSpec
    rules: Rules
    withdrawn: Withdrawn
    lines: _Lines
    withdrawn_lines: frozenset[str] = frozenset()
    withheld: set[tuple[str, str]] = field(default_factory=set)
    verdicts: dict[tuple[str, str], bool] = field(default_factory=dict)  # whether the judge would serve a combination

    def add(self, texts: Sequence[PooledText], source: Source) -> None:
        for pooled in texts:
            self.lines.add(pooled.text, source, pooled.policy, pooled.id, pooled.origin == "model")

    def add_templates(self, version: str) -> None:
        """Titles and descriptions of the templates, and the selling points that fit a headline."""
        titles, descriptions = parts(self.brief, self.spec)
        points = [point.rstrip(" .。") for point in self.brief.ad.selling_points]
        limits = self.spec.fields["title"]
        short = [point for point in points if limits.min <= measure(point, limits.mode) <= limits.max]
        titles = sorted(titles, key=len)  # a longer one holds a shorter one, and leaves room for no other
        for kind, values in zip(KINDS, ([*titles, *short], descriptions), strict=True):
            for value in values:
                self.lines.add_line(kind, Asset(value[:1].upper() + value[1:], "template", version))

    def combinations(self) -> Iterator[tuple[str, str]]:
        """Headlines and descriptions that a model wrote in different texts."""
        headlines, descriptions = map(self.lines.written, KINDS)
        for headline in headlines:
            for description in descriptions:
                if (headline, description) not in self.lines.pairs:
                    yield headline, description

    def complete(self, chosen: Chosen) -> bool:
        limits = ASSETS[self.spec.name]
        return all(len(chosen.of(kind)) == limits.of(kind)[1] for kind in KINDS)
