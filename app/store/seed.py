"""The first rows of an installation: topics, the first two policies, the champion, the rules in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import Connection, create_engine, func, select, update
from sqlalchemy.dialects.postgresql import insert

from adtext.brief import LOCALES
from adtext.rules import Rules
from app.core.settings import Settings
from app.store.models.experiments import AuditEntry, Revision
from app.store.models.policies import Policy, PolicyAlias
from app.store.models.rules import RuleSwitch
from trainer.registry import PACKAGED_POLICY, Decoding, policy_version

# The packaged policy is asked as it was trained, cooler: at temperature 1 a small model is more inventive than correct.
# It keeps to the template and to the brief's numbers by itself, so nothing constrains it. No top-p: what it would cut
# is hardly drawn at this temperature, and sorting the vocabulary for every token is a quarter of a CPU's work.
TRAINED_DECODING = Decoding(temperature=0.6, max_tokens=72)
# A model that was never trained to write ads: two worked examples, a low temperature, and an output that cannot leave
# the template.
BASE_DECODING = Decoding(examples=2, temperature=0.5, top_p=0.95, max_tokens=72, structured=True)


def seed(settings: Settings, rules: Rules) -> None:
    """Write what is missing; announce the rules of this release, under the switches that stand. Repeating it changes
    nothing.
    """
    engine = create_engine(settings.sqlalchemy_url)
    with engine.begin() as connection:
        for topic in ("registry", "rules"):
            connection.execute(insert(Revision).values(topic=topic, number=1, value="").on_conflict_do_nothing())
        connection.execute(select(Revision.number).where(Revision.topic == "rules").with_for_update())
        switches = {row.rule: row.switch for row in connection.execute(select(RuleSwitch))}
        version = rules.switched(switches).version
        moved = update(Revision).where(Revision.topic == "rules", Revision.value != version)
        connection.execute(moved.values(number=Revision.number + 1, value=version))
        if connection.scalar(select(Policy.id).limit(1)) is None:
            _first_policies(connection, settings)
    engine.dispose()


def adopt_packaged(settings: Settings) -> tuple[str, str] | None:
    """Where the champion names weights that the vLLM of `relate up` does not have (an earlier release's), point it at
    the packaged policy.

    Returns (old, new) version, None when nothing had to change. A champion with its own endpoint is kept, and so is
    `previous`.
    """
    engine = create_engine(settings.sqlalchemy_url)
    with engine.begin() as connection:
        unserved = (
            select(Policy.version)
            .join(PolicyAlias, PolicyAlias.version == Policy.version)
            .where(
                PolicyAlias.alias == "champion",
                Policy.kind == "vllm",
                Policy.endpoint.is_(None),
                Policy.artifact.is_(None),  # a trained policy is loaded again as an adapter
                Policy.model != settings.policy_model,
            )
        )
        old = connection.scalar(unserved.with_for_update(of=PolicyAlias))
        moved = None if old is None else (old, _packaged_version(connection, settings))
        if moved:
            before, after = ({"champion": version} for version in moved)
            connection.execute(
                update(PolicyAlias)
                .where(PolicyAlias.alias == "champion")
                .values(version=moved[1], changed_at=func.now())
            )
            change = {
                "action": "policy.promote.champion",
                "subject": f"policy:{moved[1]}",
                "detail": {"before": before, "after": after},
            }
            connection.execute(insert(AuditEntry).values(actor="relate up", **change))
            connection.execute(update(Revision).where(Revision.topic == "registry").values(number=Revision.number + 1))
    engine.dispose()
    return moved


def trained_in_use(settings: Settings) -> bool:
    """Whether an alias points at a policy that was trained here and that the deployment's own server answers for."""
    engine = create_engine(settings.sqlalchemy_url)
    with engine.connect() as connection:
        trained = select(Policy.id).join(PolicyAlias, PolicyAlias.version == Policy.version)
        found = connection.scalar(trained.where(Policy.artifact.is_not(None), Policy.endpoint.is_(None)).limit(1))
    engine.dispose()
    return found is not None


def _first_policies(connection: Connection, settings: Settings) -> None:
    _add(connection, "nlg", kind="nlg", model=None, locales=list(LOCALES), decoding=Decoding())
    connection.execute(insert(PolicyAlias).values(alias="champion", version=_packaged_version(connection, settings)))


def _packaged_version(connection: Connection, settings: Settings) -> str:
    """The version for the deployment's own server and its model, with the right parameters; created where it is
    missing.
    """
    name, decoding = (
        ("relate", TRAINED_DECODING) if settings.policy_model == PACKAGED_POLICY else ("base", BASE_DECODING)
    )
    locales = list(settings.policy_locales)
    own = (
        Policy.model == settings.policy_model,
        Policy.endpoint.is_(None),
        Policy.locales == locales,
        Policy.decoding == asdict(decoding),
    )
    return connection.scalar(select(Policy.version).where(*own).limit(1)) or _add(
        connection,
        name,
        kind="vllm",
        model=settings.policy_model,
        locales=locales,
        decoding=decoding,
    )


def _add(
    connection: Connection, name: str, *, kind: str, model: str | None, locales: Sequence[str], decoding: Decoding
) -> str:
    today = datetime.now(UTC).date()
    version = policy_version(
        name, kind=kind, model=model, endpoint=None, locales=locales, decoding=decoding, today=today
    )
    row = {"kind": kind, "model": model, "endpoint": None, "locales": list(locales), "decoding": asdict(decoding)}
    connection.execute(insert(Policy).values(version=version, **row))
    return version
