"""Changes of the rules in force: a rule switched to review or off or back, an advertiser's own rules. One transaction
each, in the audit log, announced to every replica when it commits.
"""

from __future__ import annotations

from typing import Any

from adtext.advertiser import AdvertiserRules, OwnChecks
from adtext.conflicts import conflicts
from adtext.rules import RULES, UNSWITCHABLE, Rules, Switch
from app.core.problems import FieldProblem, Problem
from app.store import rules as store
from app.store.audit import record
from app.store.database import AsyncConnection
from app.store.registry import announce


async def switch_rule(
    connection: AsyncConnection, packs: Rules, rule: str, switch: Switch | None, *, reason: str, actor: str
) -> str:
    """Switch a rule, or (None) apply it as its pack says; returns the version that is now in force.

    `packs`: the packs of this replica. Where others are in force, a deployment is under way and nothing is changed.
    """
    if rule not in RULES:
        raise Problem(
            404, "unknown_rule", f"there is no rule {rule!r}: GET /rules lists them", field="rule", value=rule
        )
    if rule in UNSWITCHABLE and switch is not None:
        raise Problem(
            409,
            "unswitchable_rule",
            f"{rule} cannot be switched: without it texts would be served that the platform refuses, that an "
            "advertiser forbids, or that hold a piece of the prompt",
            field="rule",
            value=rule,
        )
    _, in_force = await store.lock_rules(connection)
    before = await store.switches(connection)
    if packs.switched(before).version != in_force:
        raise Problem(
            409,
            "other_packs_in_force",
            f"the rules in force ({in_force}) are of other packs than this replica's: finish the deployment, then try "
            "again",
        )
    await store.set_switch(connection, rule, switch, reason=reason, actor=actor)
    version = packs.switched(await store.switches(connection)).version
    await announce(connection, "rules", version)
    change = {"before": before.get(rule, "as its pack says"), "after": switch or "as its pack says"}
    await record(connection, actor, "rule.switch", f"rule:{rule}", **change, reason=reason, rules_version=version)
    return version


async def put_own_rules(
    connection: AsyncConnection, rules: Rules, advertiser: str, wanted: AdvertiserRules, *, note: str, actor: str
) -> Any:
    """Put an advertiser's own rules in force; the row of their version. Equal rules make no new one. Raises Problem
    with every contradiction.
    """
    number, _ = await store.lock_rules(connection)
    found = conflicts(OwnChecks(wanted), advertiser, await store.brands_of(connection, advertiser), rules)
    if found:
        first = found[0]
        problem = Problem(422, first.rule, f"{first.field} ({first.value!r}): {first.detail}", field=first.field)
        problem.errors = [
            FieldProblem(field=problem.field, value=problem.value, rule=problem.rule, detail=problem.detail)
            for problem in found
        ]
        raise problem
    current = await store.version_of(connection, advertiser)
    if current is not None and current.digest == wanted.digest:
        return current
    return await _change(connection, advertiser, wanted, number, current, note=note, actor=actor)


async def delete_own_rules(connection: AsyncConnection, advertiser: str, *, note: str, actor: str) -> Any:
    """Take an advertiser's own rules out of force; their history stays."""
    number, _ = await store.lock_rules(connection)
    current = await store.version_of(connection, advertiser)
    if current is None or current.body is None:
        raise Problem(404, "no_own_rules", "the advertiser has no rules of its own", field="id", value=advertiser)
    return await _change(connection, advertiser, None, number, current, note=note, actor=actor)


async def _change(
    connection: AsyncConnection,
    advertiser: str,
    wanted: AdvertiserRules | None,
    number: int,
    current: Any,
    *,
    note: str,
    actor: str,
) -> Any:
    made = await store.add_version(connection, advertiser, wanted, revision=number + 1, note=note, actor=actor)
    await announce(connection, "rules")
    before = current.version if current is not None else None
    action = "advertiser_rules.put" if wanted else "advertiser_rules.delete"
    await record(connection, actor, action, f"advertiser:{advertiser}", before=before, after=made.version, note=note)
    return made
