"""The provenance of a text, and the decision of a reviewer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, update

from adtext.brief import AdText
from adtext.checks import Finding
from app.core.contract import TextState
from app.store.database import AsyncConnection
from app.store.models.creatives import BriefRow, TextRow
from app.store.models.policies import Policy


async def provenance(connection: AsyncConnection, text_id: UUID) -> Any:
    """The text's row with its policy's version; None where there is no such text."""
    statement = select(*TextRow.__table__.c, Policy.version.label("policy")).join(
        Policy, Policy.id == TextRow.policy_id
    )
    return (await connection.execute(statement.where(TextRow.id == text_id))).one_or_none()


async def texts_of(connection: AsyncConnection, advertiser: str, text_ids: Iterable[UUID]) -> set[UUID]:
    """Which of these texts were written for the advertiser."""
    statement = select(TextRow.id).where(TextRow.id.in_(text_ids), TextRow.advertiser == advertiser)
    return set(await connection.scalars(statement))


async def lock_text(connection: AsyncConnection, text_id: UUID) -> Any:
    """The text's row with the body of the brief it was written for (None once that is past retention), held until the
    transaction ends.
    """
    statement = select(*TextRow.__table__.c, BriefRow.body).outerjoin(BriefRow, BriefRow.digest == TextRow.brief_digest)
    return (await connection.execute(statement.where(TextRow.id == text_id).with_for_update(of=TextRow))).one_or_none()


async def approve(
    connection: AsyncConnection, text_id: UUID, *, reviewer: str, rules_version: str, findings: Sequence[Finding]
) -> None:
    """Approve a text for the pool, as checked by these rules."""
    checked = {"rules_version": rules_version, "findings": [asdict(finding) for finding in findings]}
    await connection.execute(
        update(TextRow).where(TextRow.id == text_id).values(_decided(TextState.APPROVED, reviewer) | checked)
    )


async def reject(connection: AsyncConnection, text_id: UUID, *, reviewer: str) -> None:
    await connection.execute(
        update(TextRow).where(TextRow.id == text_id).values(_decided(TextState.REJECTED, reviewer))
    )


async def put_back(connection: AsyncConnection, text_id: UUID, state: TextState, reviewer: str | None) -> None:
    """As it was before a reviewer decided; `reviewer`: who had decided before that."""
    values: dict[str, Any] = {"state": state, "reviewed_by": reviewer, "reviewed_at": None}
    await connection.execute(update(TextRow).where(TextRow.id == text_id).values(values))


async def add_edited(
    connection: AsyncConnection,
    row: Any,
    text_id: UUID,
    text: AdText,
    *,
    reviewer: str,
    rules_version: str,
    findings: Sequence[Finding],
) -> None:
    """A reviewer's version of a text, approved, with all else that is known of the text."""
    columns = {column.name: getattr(row, column.name) for column in TextRow.__table__.c}
    changed = text.model_dump() | {
        "id": text_id,
        "edited_from": row.id,
        "judge": None,  # it judged other words
        "judgement": None,
        "rules_version": rules_version,
        "findings": [asdict(finding) for finding in findings],
        "created_at": func.now(),
    }
    await connection.execute(insert(TextRow).values(columns | changed | _decided(TextState.APPROVED, reviewer)))


def _decided(state: TextState, reviewer: str) -> dict[str, Any]:
    return {"state": state, "reviewed_by": reviewer, "reviewed_at": func.now()}
