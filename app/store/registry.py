"""What a replica holds in memory to answer without the database: keys, experiments, policies, aliases, withdrawals. It
is read and replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from abtest.assignment import Arm, ExperimentPlan
from app.store.models.access import ApiKey, EndedSession
from app.store.models.experiments import Experiment, Phase, Revision
from app.store.models.policies import Policy, PolicyAlias
from app.store.withdrawals import NOTHING, Withdrawn, load_withdrawn
from trainer.registry import Decoding, PolicyVersion

CHANNEL = "relate"  # LISTEN/NOTIFY; the payload is a topic


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as the hot path needs it."""

    id: int
    name: str
    prefix: str
    scopes: frozenset[str]
    rate_per_second: float | None
    expires_at: datetime | None
    advertiser: str | None = None  # None: every advertiser

    def covers(self, advertiser: str) -> bool:
        """Whether this key may read and write what belongs to the advertiser."""
        return self.advertiser is None or self.advertiser == advertiser


@dataclass(frozen=True, slots=True)
class LiveExperiment:
    """An experiment with its current phase. `plan` is what `assign` takes; None before its first start."""

    name: str
    layer: str
    state: str
    phase_id: int
    plan: ExperimentPlan | None
    policies: tuple[str, ...]  # policy version of each arm, in arm order
    arm_names: tuple[str, ...]
    window: timedelta


@dataclass(frozen=True, slots=True)
class Registry:
    keys: Mapping[bytes, Key]  # by SHA-256 of the key
    policies: Mapping[str, PolicyVersion]
    policies_by_id: Mapping[int, PolicyVersion]
    aliases: Mapping[str, str]
    experiments: Mapping[str, LiveExperiment]
    running: Mapping[str, tuple[LiveExperiment, ...]]  # by layer
    windows: Mapping[int, timedelta]  # attribution window by phase id
    number: int
    ended_sessions: frozenset[bytes] = frozenset()  # signed out, and not yet expired
    withdrawn: Withdrawn = NOTHING

    @property
    def champion(self) -> PolicyVersion:
        return self.policies[self.aliases["champion"]]

    @property
    def in_use(self) -> list[PolicyVersion]:
        """The policies of the aliases and of every arm of a running experiment."""
        arms = {version for live in self.running.values() for experiment in live for version in experiment.policies}
        return [self.policies[version] for version in sorted(arms | set(self.aliases.values()))]


EMPTY = Registry(keys={}, policies={}, policies_by_id={}, aliases={}, experiments={}, running={}, windows={}, number=0)


async def load_registry(connection: AsyncConnection) -> Registry:
    number = (await connection.scalar(select(Revision.number).where(Revision.topic == "registry"))) or 0
    keys = {
        row.digest: Key(
            row.id, row.name, row.prefix, frozenset(row.scopes), row.rate_per_second, row.expires_at, row.advertiser
        )
        for row in await connection.execute(select(ApiKey).where(ApiKey.revoked_at.is_(None)))
    }
    ended = await connection.scalars(select(EndedSession.session).where(EndedSession.expires_at > func.now()))
    policies = [policy_of(row) for row in await connection.execute(select(Policy))]
    aliases = {row.alias: row.version for row in await connection.execute(select(PolicyAlias))}
    phases: dict[int, list[Any]] = {}
    for phase in await connection.execute(select(Phase).order_by(Phase.number)):
        phases.setdefault(phase.experiment_id, []).append(phase)
    experiments: dict[str, LiveExperiment] = {}
    running: dict[str, tuple[LiveExperiment, ...]] = {}
    windows: dict[int, timedelta] = {}
    for row in await connection.execute(select(Experiment).order_by(Experiment.id)):
        live = _live(row, phases.get(row.id, []))
        experiments[row.name] = live
        windows |= {phase.id: live.window for phase in phases.get(row.id, [])}
        if row.state == "running":
            running[row.layer] = (*running.get(row.layer, ()), live)
    return Registry(
        keys,
        {policy.version: policy for policy in policies},
        {policy.id: policy for policy in policies},
        aliases,
        experiments,
        running,
        windows,
        number,
        frozenset(ended),
        await load_withdrawn(connection),
    )


def policy_of(row: Any) -> PolicyVersion:
    return PolicyVersion(
        version=row.version,
        kind=row.kind,
        locales=tuple(row.locales),
        endpoint=row.endpoint,
        model=row.model,
        decoding=Decoding(**row.decoding),
        artifact=row.artifact,
        id=row.id,
    )


def _live(row: Any, phases: list[Any]) -> LiveExperiment:
    current = phases[-1] if phases else None
    arms = current.arms if current else []
    plan = (
        ExperimentPlan(
            layer_salt=row.layer,
            salt=current.salt,
            low=row.low,
            high=row.high,
            arms=tuple(Arm(arm["name"], arm["policy"], arm["weight"]) for arm in arms),
        )
        if current
        else None
    )
    return LiveExperiment(
        name=row.name,
        layer=row.layer,
        state=row.state,
        phase_id=current.id if current else 0,
        plan=plan,
        policies=tuple(arm["policy"] for arm in arms),
        arm_names=tuple(arm["name"] for arm in arms),
        window=timedelta(hours=row.window_hours),
    )


async def announce(connection: AsyncConnection, topic: str, value: str | None = None) -> None:
    """Tell every replica, when this transaction commits, that a topic changed (registry), or which version is in force
    (rules).
    """
    change = update(Revision).where(Revision.topic == topic).values(number=Revision.number + 1)
    await connection.execute(change if value is None else change.values(value=value))
    await connection.execute(text("SELECT pg_notify(:channel, :topic)"), {"channel": CHANNEL, "topic": topic})
