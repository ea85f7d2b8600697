"""Withdrawals: the rows, and the form in which a replica holds them in memory."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

from sqlalchemy import Text, cast, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from adtext.brief import AdText, wording
from adtext.fold import squeeze
from app.store.models.creatives import TextRow
from app.store.models.withdrawals import Withdrawal

Kind = Literal["text", "advertiser", "policy"]


def advertiser_key(name: str) -> str:
    """A key that is equal for spellings of an advertiser that differ only in case, width or spacing."""
    return " ".join((name if name.isascii() else unicodedata.normalize("NFKC", name)).casefold().split())


def wording_key(text: AdText) -> str:
    """A key that is equal for spellings of a text."""
    return blake2b(wording(text).encode(), digest_size=16).hexdigest()


def text_key(advertiser: str, text: AdText) -> str:
    """The subject of a withdrawn text: its wording, so that no policy can write the same words for the advertiser
    again.
    """
    return f"{wording_key(text)} {advertiser_key(advertiser)}"


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """All withdrawals, in the form that the hot path needs. False where there are none."""

    advertisers: frozenset[str] = frozenset()  # by advertiser_key
    policies: frozenset[str] = frozenset()  # versions
    texts: Mapping[str, frozenset[str]] = field(default_factory=dict)  # wording_key of texts, by advertiser_key

    def __bool__(self) -> bool:
        return bool(self.advertisers or self.policies or self.texts)

    def holds_advertiser(self, name: str) -> bool:
        return bool(self.advertisers) and advertiser_key(name) in self.advertisers

    def wordings(self, advertiser: str) -> frozenset[str]:
        """The withdrawn texts of an advertiser, by wording_key."""
        return self.texts.get(advertiser_key(advertiser), frozenset()) if self.texts else frozenset()

    def holds(self, advertiser: str, text: AdText, policy: str) -> bool:
        """Whether a text of this advertiser, written by this policy, may not be served."""
        return bool(self) and (
            policy in self.policies
            or self.holds_advertiser(advertiser)
            or wording_key(text) in self.wordings(advertiser)
        )


NOTHING = Withdrawn()


async def load_withdrawn(connection: AsyncConnection) -> Withdrawn:
    keys: dict[str, set[str]] = {"text": set(), "advertiser": set(), "policy": set()}
    for kind, key in await connection.execute(select(Withdrawal.kind, Withdrawal.key)):
        keys[kind].add(key)
    texts: dict[str, set[str]] = {}
    for key in keys["text"]:
        wording, _, advertiser = key.partition(" ")
        texts.setdefault(advertiser, set()).add(wording)
    return Withdrawn(
        frozenset(keys["advertiser"]),
        frozenset(keys["policy"]),
        {advertiser: frozenset(wordings) for advertiser, wordings in texts.items()},
    )


async def withdrawn_lines(connection: AsyncConnection, advertiser: str) -> frozenset[str]:
    """The squeezed titles and descriptions of the advertiser's withdrawn texts: none of them may appear in other
    company. A text that retention deleted is known by its whole wording only.
    """
    statement = (
        select(TextRow.title, TextRow.description, TextRow.description_2)
        .join(Withdrawal, Withdrawal.subject == cast(TextRow.id, Text))
        .where(Withdrawal.kind == "text", Withdrawal.key.endswith(" " + advertiser_key(advertiser), autoescape=True))
    )
    rows = (await connection.execute(statement)).all()
    return frozenset(squeeze(value) for row in rows for value in row if value)


async def add(connection: AsyncConnection, **row: Any) -> Any:
    """The new row; None where it is already withdrawn."""
    statement = insert(Withdrawal).values(row).on_conflict_do_nothing().returning(Withdrawal)
    return (await connection.execute(statement)).one_or_none()


async def standing(connection: AsyncConnection, kind: Kind, key: str) -> Any:
    """The row that holds this key; None where it is not withdrawn."""
    statement = select(Withdrawal).where(Withdrawal.kind == kind, Withdrawal.key == key)
    return (await connection.execute(statement)).one_or_none()


async def find(connection: AsyncConnection, withdrawal_id: int) -> Any:
    """The row, locked until the transaction ends; None where there is none."""
    statement = select(Withdrawal).where(Withdrawal.id == withdrawal_id).with_for_update()
    return (await connection.execute(statement)).one_or_none()


async def remove(connection: AsyncConnection, withdrawal_id: int) -> None:
    await connection.execute(delete(Withdrawal).where(Withdrawal.id == withdrawal_id))


async def latest(
    connection: AsyncConnection, before: int, limit: int, *, advertiser: str | None = None
) -> Sequence[Any]:
    """Rows with an id under `before`, newest first; of one advertiser's where it is given."""
    statement = select(Withdrawal).where(Withdrawal.id < before).order_by(Withdrawal.id.desc()).limit(limit)
    if advertiser is not None:
        statement = statement.where(Withdrawal.advertiser == advertiser)
    return (await connection.execute(statement)).all()
