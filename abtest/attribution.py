"""When a click and a conversion count. The report's totals and the reward model's labels both come from this
definition.

The fold takes the earliest time of each kind per token, so neither the order nor the repetition of events can matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from abtest.events import EventKind, TokenEvent

LATENESS = timedelta(hours=24)  # how late a report of an event inside the window may still arrive
FASTEST_CLICK = timedelta(milliseconds=500)  # after the impression: no person reads and clicks faster
FURTHEST_ZONE = 14  # hours: no time zone is further from UTC
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_FUNNEL = (EventKind.IMPRESSION, EventKind.CLICK, EventKind.CONVERSION)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one token: the earliest time of each kind of event, and whether it counts."""

    token: str
    impression_at: datetime | None
    click_at: datetime | None
    conversion_at: datetime | None
    value: float | None  # value of the conversion
    clicked: bool  # the click counts
    converted: bool  # the conversion counts; implies clicked
    view_through: bool  # converted inside the window without a click before it: reported separately, never counted
    repeated_order: bool  # would count, but another token's earlier conversion has the same order
    shifted: bool  # shown a whole number of hours after it was served: a clock in another time zone, never counted
    invalid: bool  # flagged, loaded by a machine or clicked too fast: the valid view excludes the whole token

    @property
    def orphan(self) -> bool:
        """True for a click or conversion without an impression: reported separately, never counted."""
        return self.impression_at is None and (self.click_at is not None or self.conversion_at is not None)


def attribute(events: Iterable[TokenEvent], window: timedelta) -> dict[str, Outcome]:
    """The outcome of every token among the events.

    impression  the earliest one; a token counts as at most one impression, one click and one conversion
    clicked     an impression exists and click < impression + window. There is no lower bound: the clocks of ad
                systems are skewed against each other, and a counted conversion must imply a counted click
    converted   clicked, click <= conversion, impression <= conversion < impression + window, and no other token's
                counted conversion of the same order is earlier. A time with a fraction of a second precedes every
                coarser time that may be later
    corrected   the latest retraction or restatement of an event decides, unless the event itself is later. A
                retracted event is ignored; a restated event keeps its time
    machines    events that a machine loaded are ignored where a person's impression exists; otherwise they stand,
                and the token is invalid
    """
    if window <= timedelta(0):
        raise ValueError(
            f"window {window} must be positive: a conversion counts when impression <= conversion < impression + window"
        )
    tokens: dict[str, list[TokenEvent]] = {}
    for event in events:
        tokens.setdefault(event.token, []).append(event)
    told = {token: _standing(of_token) for token, of_token in tokens.items()}
    outcomes = {token: _outcome(token, standing, window) for token, standing in told.items()}
    return _once_per_order(outcomes, told)


def resolution(at: datetime) -> timedelta:
    """The resolution of the clock that wrote a time, inferred from its zeros: 0 (finer than a second), a second, a
    minute or an hour.

    Hours begin at a quarter of UTC's in some time zones.
    """
    if at.microsecond:
        return timedelta(0)
    if at.second:
        return timedelta(seconds=1)
    return _MINUTE if at.minute % 15 else _HOUR


def mature(impression_at: datetime, window: timedelta, as_of: datetime) -> bool:
    """True when every event that can count for the impression has had time to arrive:   impression + window + 24 h <=
    as_of.
    """
    return impression_at + window + LATENESS <= as_of


def _standing(events: Sequence[TokenEvent]) -> list[TokenEvent]:
    """The events of one token as corrected."""
    corrections: dict[tuple[EventKind, str], TokenEvent] = {}
    for later in sorted(
        (event for event in events if event.corrects is not None),
        key=lambda event: (event.occurred_at, event.kind is EventKind.RETRACTION, event.event_id),
    ):
        kinds = {event.kind for event in events if event.corrects is None and event.event_id == later.corrects}
        if later.kind is EventKind.RETRACTION:  # it takes back the conversion with this id, or the only event
            kinds = {EventKind.CONVERSION} & kinds or (kinds if len(kinds) == 1 else set())
        else:
            kinds &= {later.kind}
        for kind in kinds:
            corrections[kind, str(later.corrects)] = later
    standing = []
    for event in events:
        if event.corrects is not None:
            continue
        last = corrections.get((event.kind, event.event_id))
        if last is None or last.occurred_at < event.occurred_at:
            standing.append(event)
        elif last.kind is not EventKind.RETRACTION:
            standing.append(replace(event, value=last.value, order=last.order or event.order, invalid=last.invalid))
    return standing


def _first(events: Iterable[TokenEvent], kind: EventKind) -> TokenEvent | None:
    return min(
        (event for event in events if event.kind is kind),
        key=lambda event: (event.occurred_at, event.event_id),
        default=None,
    )


def _outcome(token: str, events: Sequence[TokenEvent], window: timedelta) -> Outcome:
    people = [event for event in events if not event.machine]
    seen = any(event.kind is EventKind.IMPRESSION for event in people)
    firsts = [_first(people if seen else events, kind) for kind in _FUNNEL]
    impression, click, conversion = (None if first is None else first.occurred_at for first in firsts)
    shifted = any(impression is not None and _shifted(event, impression) for event in events[:1])
    clicked = not shifted and impression is not None and click is not None and click < impression + window
    in_window = (
        not shifted
        and impression is not None
        and conversion is not None
        and _in_order(impression, conversion)
        and conversion < impression + window
    )
    after_click = clicked and click is not None and conversion is not None and _in_order(click, conversion)
    return Outcome(
        token,
        impression,
        click,
        conversion,
        value=firsts[2].value if firsts[2] else None,
        clicked=clicked,
        converted=in_window and after_click,
        view_through=in_window and not after_click,
        repeated_order=False,
        shifted=shifted,
        invalid=any(event.invalid for event in people)
        or (not seen and any(event.machine for event in events))
        or _not_a_person(impression, click),
    )


def _in_order(earlier: datetime, later: datetime) -> bool:
    """earlier <= later, compared at the resolution of the coarser clock."""
    return earlier <= later or (earlier.microsecond > 0 and earlier < later + resolution(later))


def _shifted(event: TokenEvent, impression: datetime) -> bool:
    """True for an impression a whole number of hours after its serving, give or take a minute."""
    if event.served_at is None:
        return False
    delay = impression - event.served_at
    hours = round(delay / _HOUR)
    return 1 <= hours <= FURTHEST_ZONE and abs(delay - hours * _HOUR) <= _MINUTE


def _not_a_person(impression: datetime | None, click: datetime | None) -> bool:
    """True for a click without an impression, or for a click sooner after it than a person can react. Times
    without fractions of a second cannot tell.
    """
    if impression is None or click is None:
        return click is not None
    fine = impression.microsecond > 0 and click.microsecond > 0
    return fine and timedelta(0) <= click - impression < FASTEST_CLICK


def _once_per_order(outcomes: Mapping[str, Outcome], told: Mapping[str, Sequence[TokenEvent]]) -> dict[str, Outcome]:
    """Let the earliest conversion of each order count, and no other."""
    holders: dict[tuple[str, str], tuple[datetime, str]] = {}
    orders: dict[str, tuple[str, str]] = {}
    for token, outcome in outcomes.items():
        conversion = _first(told[token], EventKind.CONVERSION)
        if outcome.converted and conversion is not None and conversion.order is not None:
            orders[token] = conversion.order
            mine = (conversion.occurred_at, token)
            holders[conversion.order] = min(holders.get(conversion.order, mine), mine)
    return {
        token: replace(outcome, converted=False, repeated_order=True)
        if token in orders and holders[orders[token]][1] != token
        else outcome
        for token, outcome in outcomes.items()
    }
