"""The rows every installation starts with: topics, the two first policies, the champion, the rules in force."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, create_engine, select, update
from sqlalchemy.dialects.postgresql import insert

from adtext.brief import LOCALES
from app.models.experiments import Revision
from app.models.policies import Policy, PolicyAlias
from app.settings import Settings
from trainer.registry import PACKAGED_POLICY, Decoding, new_version

# The packaged policy is asked as it was trained, cooler: at temperature 1 a small model is more inventive than correct. It keeps to the
# template and to the brief's numbers by itself, so nothing constrains it.
TRAINED_DECODING = Decoding(temperature=0.4, top_p=0.95, max_tokens=72)
# A model that was never trained to write ads: two worked examples, a low temperature, and an output that cannot leave the template.
BASE_DECODING = Decoding(examples=2, temperature=0.5, top_p=0.95, max_tokens=72, structured=True)


def seed(settings: Settings, rules_version: str) -> None:
    """Write what is missing; announce the rules version of this release. Repeating it changes nothing."""
    engine = create_engine(settings.sqlalchemy_url)
    with engine.begin() as connection:
        for topic in ("registry", "rules"):
            connection.execute(insert(Revision).values(topic=topic, number=1, value="").on_conflict_do_nothing())
        moved = update(Revision).where(Revision.topic == "rules", Revision.value != rules_version)
        connection.execute(moved.values(number=Revision.number + 1, value=rules_version))
        if connection.scalar(select(Policy.id).limit(1)) is None:
            _first_policies(connection, settings)
    engine.dispose()


def _first_policies(connection: Connection, settings: Settings) -> None:
    today = datetime.now(UTC).date()
    name, decoding = ("relate", TRAINED_DECODING) if settings.policy_model == PACKAGED_POLICY else ("base", BASE_DECODING)
    rows: list[dict[str, Any]] = [
        {"kind": "nlg", "model": None, "locales": list(LOCALES), "decoding": asdict(Decoding())},
        {"kind": "vllm", "model": settings.policy_model, "locales": ["en-US", "en-GB"], "decoding": asdict(decoding)},
    ]
    versions = [new_version(kind, row, today) for kind, row in zip(("nlg", name), rows, strict=True)]
    connection.execute(insert(Policy), [{"version": version, "endpoint": None, **row} for version, row in zip(versions, rows, strict=True)])
    connection.execute(insert(PolicyAlias).values(alias="champion", version=versions[1]))
