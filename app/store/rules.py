"""Rule switches and advertisers' own rules. Every change bumps the topic `rules`, whose row orders them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from adtext.advertiser import AdvertiserRules
from adtext.rules import Switch
from app.store.database import AsyncConnection
from app.store.models.creatives import BriefRow, TextRow
from app.store.models.experiments import Revision
from app.store.models.rules import AdvertiserRulesRow, RuleSwitch
from app.store.statements import statement

_Own = AdvertiserRulesRow
_BRANDS = 500  # briefs of one advertiser that are looked at for its brands


async def lock_rules(connection: AsyncConnection) -> tuple[int, str]:
    """(number, version in force) of the topic `rules`, held until the transaction ends: changes come one by one."""
    row = select(Revision.number, Revision.value).where(Revision.topic == "rules").with_for_update()
    number, version = (await connection.execute(row)).one()
    return number, version


async def switches(connection: AsyncConnection) -> dict[str, Switch]:
    """Every rule that is switched."""
    rows = await connection.execute(select(RuleSwitch.rule, RuleSwitch.switch))
    return {rule: cast(Switch, switch) for rule, switch in rows}


async def switched_rules(connection: AsyncConnection) -> Sequence[Any]:
    """The switched rules, with reason, actor and time."""
    return (await connection.execute(select(RuleSwitch).order_by(RuleSwitch.rule))).all()


async def set_switch(connection: AsyncConnection, rule: str, switch: Switch | None, *, reason: str, actor: str) -> None:
    """None: as the pack says."""
    if switch is None:
        await connection.execute(delete(RuleSwitch).where(RuleSwitch.rule == rule))
        return
    values = {"switch": switch, "reason": reason, "actor": actor}
    change = insert(RuleSwitch).values(rule=rule, **values)
    await connection.execute(
        change.on_conflict_do_update(index_elements=["rule"], set_=values | {"changed_at": func.now()})
    )


async def newer_rules(connection: AsyncConnection, revision: int) -> dict[str, Mapping[str, Any] | None]:
    """By advertiser, the own rules that came in force after that revision; None: it has none any more."""
    newer = select(_Own.advertiser, _Own.body).where(_Own.in_force, _Own.revision > revision)
    return {row.advertiser: row.body for row in await connection.execute(newer)}


async def add_version(
    connection: AsyncConnection, advertiser: str, rules: AdvertiserRules | None, *, revision: int, note: str, actor: str
) -> Any:
    """A new version in place of the one in force; its row. None deletes: the history stays."""
    mine = _Own.advertiser == advertiser
    last = await connection.scalar(select(func.max(_Own.version)).where(mine))
    await connection.execute(update(_Own).where(mine, _Own.in_force).values(in_force=False))
    added = insert(_Own).values(
        advertiser=advertiser,
        version=(last or 0) + 1,
        digest=rules.digest if rules else "",
        body=rules.model_dump(mode="json") if rules else None,
        note=note,
        actor=actor,
        revision=revision,
        in_force=True,
    )
    return (await connection.execute(added.returning(*_Own.__table__.c))).one()


async def version_of(connection: AsyncConnection, advertiser: str, version: int | None = None) -> Any:
    """The row of a version, or of the one in force; None where there is none."""
    wanted = _Own.in_force if version is None else _Own.version == version
    return (await connection.execute(select(_Own).where(_Own.advertiser == advertiser, wanted))).one_or_none()


async def versions(connection: AsyncConnection, advertiser: str, before: int, limit: int) -> Sequence[Any]:
    """Newest first."""
    older = select(_Own).where(_Own.advertiser == advertiser, _Own.version < before)
    return (await connection.execute(older.order_by(_Own.version.desc()).limit(limit))).all()


async def brands_of(connection: AsyncConnection, advertiser: str) -> list[str]:
    """The brands that the advertiser's briefs name."""
    digests = select(TextRow.brief_digest).where(TextRow.advertiser == advertiser).distinct().limit(_BRANDS)
    brands = func.jsonb_array_elements_text(BriefRow.body["ad"]["brands"]).label("brand")
    return sorted(await connection.scalars(select(brands).where(BriefRow.digest.in_(digests)).distinct()))


async def findings_by_rule(connection: AsyncConnection, days: int, advertiser: str | None) -> dict[str, dict[str, int]]:
    """`texts`, `decided` and `overruled` of the rules that have findings, in texts of all or of one advertiser."""
    rows = await connection.execute(text(statement("findings_by_rule")), {"days": days, "advertiser": advertiser})
    return {row.rule: {"texts": row.texts, "decided": row.decided, "overruled": row.overruled} for row in rows}


async def recent_findings(connection: AsyncConnection, rule: str, days: int, limit: int) -> Sequence[Any]:
    """Newest first."""
    given = {"rule": rule, "days": days, "limit": limit}
    return (await connection.execute(text(statement("recent_findings")), given)).all()
