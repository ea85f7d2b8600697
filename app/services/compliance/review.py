"""What a reviewer decides about texts. A person may allow what rules cannot decide, never what they forbid."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal
from uuid import UUID

from adtext.brief import AdText
from adtext.checks import Finding, is_compliant
from adtext.rules import Rules
from app.core.contract import RejectReason, TextState
from app.core.problems import Problem
from app.services.compliance.recheck import findings_of
from app.store import provenance as store
from app.store import reviews
from app.store.audit import record
from app.store.database import AsyncConnection
from app.store.registry import Key
from app.store.texts import announce_pool, text_of

Decision = Literal["approve", "reject", "edit"]
_STATES = {"approve": TextState.APPROVED, "reject": TextState.REJECTED, "edit": TextState.REJECTED}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision: `reason` belongs to a rejection, `text` is what an edit puts in place of the text."""

    decision: Decision
    note: str = ""
    reason: RejectReason | None = None
    text: AdText | None = None


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who decides, by which rules, and how many of the decisions another reviewer sees again."""

    key: Key
    name: str  # as the audit log names them
    rules_of: Callable[[str], Rules]  # in force for an advertiser
    second_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Decided:
    state: TextState
    edited_id: UUID | None = None


async def review(connection: AsyncConnection, text_id: UUID, verdict: Verdict, reviewer: Reviewer) -> Decided:
    """Decide about a text. The pool learns of it when the transaction commits.

    An approval or an edit is checked by the rules in force: a blocking finding, or a brief that is gone, refuses it.
    """
    row = await _locked(connection, text_id, reviewer.key)
    held = await reviews.holder(connection, text_id)
    if held is not None and held.key_id != reviewer.key.id:
        raise Problem(409, "locked", f"{held.reviewer} has this text open: take another, or wait until it is closed")
    first = await reviews.wanting_second(connection, text_id, reviewer.key.id)
    findings: list[Finding] = []
    edited_id = None
    if verdict.decision == "approve":
        findings = _allowed(row, reviewer)
    if verdict.decision == "edit":
        edited_id = await _edited(connection, row, verdict, reviewer)
    state = _STATES[verdict.decision]
    if first is not None and TextState.REJECTED in (first.state_after, state):
        state = TextState.REJECTED  # two opinions that differ do not release a text
    if state == TextState.APPROVED:
        version = reviewer.rules_of(row.advertiser).version
        await store.approve(connection, text_id, reviewer=reviewer.name, rules_version=version, findings=findings)
    else:
        await store.reject(connection, text_id, reviewer=reviewer.name)
    await _noted(connection, row, verdict, reviewer, state, first, held, edited_id)
    await reviews.unlock(connection, text_id)
    await announce_pool(connection, row.pool_key)
    return Decided(state, edited_id)


async def undo(connection: AsyncConnection, reviewer: Reviewer, text_id: UUID | None = None) -> Any:
    """Take back the reviewer's latest decision, of one text where it is given; returns the decision's row.

    Not where the text was decided or changed again since.
    """
    decision = await reviews.last_decision(connection, reviewer.key.id, text_id)
    if decision is None:
        raise Problem(409, "nothing_to_undo", "there is no decision of yours to take back")
    row = await _locked(connection, decision.text_id, reviewer.key)
    if row.state != decision.state_after or row.reviewed_by != reviewer.name:
        raise Problem(409, "changed_since", f"the text is {row.state} by now: decide about it anew")
    await store.put_back(connection, row.id, TextState(decision.state_before), decision.reviewer_before)
    if decision.edited_id is not None:
        await store.reject(connection, decision.edited_id, reviewer=reviewer.name)
    if decision.second_of is not None:
        await reviews.set_second(connection, decision.second_of, wants=True, overturned=False)
    await reviews.mark_undone(connection, decision.id)
    await record(connection, reviewer.name, "text.undo", f"text:{row.id}", undone=decision.decision)
    await announce_pool(connection, row.pool_key)
    return decision


async def _locked(connection: AsyncConnection, text_id: UUID, key: Key) -> Any:
    row = await store.lock_text(connection, text_id)
    if row is None or not key.covers(row.advertiser):
        raise Problem(404, "unknown_text", "there is no text with that id", field="text_id", value=text_id)
    return row


def _allowed(row: Any, reviewer: Reviewer, text: AdText | None = None) -> list[Finding]:
    """The findings of the row's text, or of one in its place, under the rules in force; none of them blocks."""
    if row.body is None:
        raise Problem(
            409,
            "brief_gone",
            "the brief it was written for is past its retention: it cannot be checked, so it is not served",
        )
    findings = findings_of(row, reviewer.rules_of(row.advertiser), text)
    if is_compliant(findings):
        return findings
    first = next(finding for finding in findings if finding.severity == "block")
    way_out = "reject the text" if text is None else "change the words, or reject the text"
    raise Problem(
        409,
        "blocked",
        f"{first.rule} in {first.field} ({first.quote!r}): {first.reason}; no reviewer can allow that, so {way_out}",
    )


async def _edited(connection: AsyncConnection, row: Any, verdict: Verdict, reviewer: Reviewer) -> UUID:
    """Write the reviewer's version as a text of its own, approved; its id. The text that was edited is rejected."""
    if verdict.text is None:
        raise Problem(422, "no_text", "an edit needs the text as it shall be", field="text", value=None)
    if row.origin == "advertiser":
        raise Problem(409, "advertiser_text", "this is the advertiser's own text: approve it, or reject it and say why")
    if verdict.text == text_of(row):
        raise Problem(409, "unchanged", "the text is as it was: approve it instead")
    findings = _allowed(row, reviewer, verdict.text)
    edited_id = UUID(bytes=os.urandom(16))
    version = reviewer.rules_of(row.advertiser).version
    await store.add_edited(
        connection, row, edited_id, verdict.text, reviewer=reviewer.name, rules_version=version, findings=findings
    )
    return edited_id


async def _noted(
    connection: AsyncConnection,
    row: Any,
    verdict: Verdict,
    reviewer: Reviewer,
    state: TextState,
    first: Any,
    held: Any,
    edited_id: UUID | None,
) -> None:
    """Keep the decision, in the audit log and with what it was made on."""
    sampled = first is None and verdict.decision != "edit" and wants_second(row.id, reviewer.second_share)
    if first is not None:
        await reviews.set_second(
            connection, first.id, wants=False, overturned=_STATES[verdict.decision] != first.state_after
        )
    else:
        await reviews.close_seconds(connection, row.id)
    await reviews.add_decision(
        connection,
        text_id=row.id,
        key_id=reviewer.key.id,
        reviewer=reviewer.name,
        decision=verdict.decision,
        reason=verdict.reason,
        note=verdict.note,
        opened_at=held.opened_at if held is not None else None,
        state_before=row.state,
        state_after=state,
        reviewer_before=row.reviewed_by,
        second_of=first.id if first is not None else None,
        wants_second=sampled,
        edited_id=edited_id,
        brief_digest=row.brief_digest,
        locale=row.locale,
        held_for=row.held_for,
        findings=row.findings,
        **text_of(row).model_dump(),
    )
    detail = {"note": verdict.note, "before": row.state}
    detail |= {"reason": verdict.reason} if verdict.reason else {}
    if verdict.text is not None:
        detail |= {"edited_id": str(edited_id), "text": dict(verdict.text)}
    await record(connection, reviewer.name, f"text.{verdict.decision}", f"text:{row.id}", **detail)


def wants_second(text_id: UUID, share: float) -> bool:
    """Whether another reviewer sees a decision about this text again: the same texts each time, `share` of all."""
    draw = int.from_bytes(blake2b(b"second opinion" + text_id.bytes, digest_size=8).digest(), "big")
    return draw < share * 2**64
