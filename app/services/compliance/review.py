"""A reviewer's decision about one text. A person may allow what rules cannot decide, never what they forbid."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from adtext.brief import AdBrief
from adtext.checks import Finding, check, is_compliant
from adtext.rules import Rules
from adtext.spec import load_spec
from app.core.contract import TextState
from app.core.problems import Problem
from app.store import provenance as store
from app.store.audit import record
from app.store.database import AsyncConnection
from app.store.texts import announce_pool, text_of

Decision = Literal["approve", "reject"]


async def review(
    connection: AsyncConnection,
    text_id: UUID,
    decision: Decision,
    note: str,
    rules: Rules,
    *,
    advertiser: str | None = None,
    actor: str,
) -> TextState:
    """Approve or reject a text; returns its new state. The pool learns of it when the transaction commits.

    `advertiser`: the only one whose texts the reviewer may see. An approval is checked by the rules in force: a
    blocking finding, or a brief that is gone, refuses it.
    """
    row = await store.lock_text(connection, text_id)
    if row is None or advertiser not in (None, row.advertiser):
        raise Problem(404, "unknown_text", "there is no text with that id", field="text_id", value=text_id)
    if decision == "approve":
        await store.approve(
            connection, text_id, reviewer=actor, rules_version=rules.version, findings=_allowed(row, rules)
        )
    else:
        await store.reject(connection, text_id, reviewer=actor)
    await record(connection, actor, f"text.{decision}", f"text:{text_id}", note=note, before=row.state)
    await announce_pool(connection, row.pool_key)
    return TextState.APPROVED if decision == "approve" else TextState.REJECTED


def _allowed(row: Any, rules: Rules) -> list[Finding]:
    """The text's findings under the rules in force, none of which blocks."""
    if row.body is None:
        raise Problem(
            409,
            "brief_gone",
            "the brief it was written for is past its retention: it cannot be checked, so it is not served",
        )
    findings = check(text_of(row), AdBrief.model_validate(row.body), load_spec(row.platform), rules)
    if is_compliant(findings):
        return findings
    first = next(finding for finding in findings if finding.severity == "block")
    raise Problem(
        409,
        "blocked",
        f"{first.rule} in {first.field} ({first.quote!r}): {first.reason}; no reviewer can allow that, so reject the "
        "text",
    )
