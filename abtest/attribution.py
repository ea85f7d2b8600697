"""When a click and a conversion count. The report's totals and the reward model's labels both come from this
definition.

The fold takes the earliest time of each kind per token, so neither the order nor the repetition of events can matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from abtest.events import EventKind, TokenEvent

LATENESS = timedelta(hours=24)  # how late a report of an event inside the window may still arrive


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one token: the earliest time of each kind, and what of it counts."""

    token: str
    impression_at: datetime | None
    click_at: datetime | None
    conversion_at: datetime | None
    clicked: bool  # the click counts
    converted: bool  # the conversion counts; implies clicked
    view_through: bool  # converted inside the window without a click before it: shown beside, never counted
    invalid: bool  # some event of it was flagged: the valid view leaves the whole token out

    @property
    def orphan(self) -> bool:
        """True for a click or conversion whose impression never came: shown beside, never counted."""
        return self.impression_at is None


def attribute(events: Iterable[TokenEvent], window: timedelta) -> dict[str, Outcome]:
    """The outcome of every token among the events.

    impression  the earliest; a token is at most one impression, one click, one conversion
    clicked     an impression exists and click < impression + window. There is no lower bound: the clocks of ad systems
        are skewed against
                each other, and a counted conversion, whose click precedes it, must imply a counted click
    converted   an impression exists, click <= conversion, and impression <= conversion < impression + window
    """
    if window <= timedelta(0):
        raise ValueError(
            f"window {window} must be positive: a conversion counts when impression <= conversion < impression + window"
        )
    earliest: dict[str, dict[EventKind, datetime]] = {}
    flagged: set[str] = set()
    for event in events:
        times = earliest.setdefault(event.token, {})
        times[event.kind] = min(times.get(event.kind, event.occurred_at), event.occurred_at)
        if event.invalid:
            flagged.add(event.token)
    return {token: _outcome(token, times, window, token in flagged) for token, times in earliest.items()}


def _outcome(token: str, times: dict[EventKind, datetime], window: timedelta, invalid: bool) -> Outcome:
    impression, click, conversion = (
        times.get(kind) for kind in (EventKind.IMPRESSION, EventKind.CLICK, EventKind.CONVERSION)
    )
    clicked = impression is not None and click is not None and click < impression + window
    in_window = impression is not None and conversion is not None and impression <= conversion < impression + window
    after_click = click is not None and conversion is not None and click <= conversion
    return Outcome(
        token,
        impression,
        click,
        conversion,
        clicked,
        converted=in_window and after_click,
        view_through=in_window and not after_click,
        invalid=invalid,
    )


def mature(impression_at: datetime, window: timedelta, as_of: datetime) -> bool:
    """True when everything that may count for the impression must have arrived:   impression + window + 24 h <=
    as_of.
    """
    return impression_at + window + LATENESS <= as_of
