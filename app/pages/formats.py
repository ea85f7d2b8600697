"""How pages format numbers and times: three significant digits, a real minus sign, separated thousands, a dash for an
unknown value.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from math import floor, log10
from typing import Any

from abtest.verdict import percent

UNKNOWN = "–"
_ALMOST_ZERO = 1e-4  # smaller p-values are shown as "< 0.0001"


def rate(value: float | None) -> str:
    """A share in percent with three significant digits: 0.708 %, 30.6 %, 100 %."""
    if value is None:
        return UNKNOWN
    points = value * 100
    digits = 2 - floor(log10(abs(points))) if points else 0
    return f"{points:,.{min(max(digits, 0), 4)}f} %"


def change(value: float | None) -> str:
    """A relative change with its sign: +6.1 %, −34 %."""
    return UNKNOWN if value is None else percent(value)


def span(lift: Any) -> str:
    """An interval in brackets: (+1.9 % to +10.6 %); an open side is spelled out; a dash where there is no interval."""
    if lift.low is None and lift.high is None:
        return UNKNOWN
    low = "no lower limit" if lift.low is None else percent(lift.low)
    high = "no upper limit" if lift.high is None else percent(lift.high)
    return f"({low} to {high})"


def p_value(value: float | None) -> str:
    """0.200, 0.0043, < 0.0001."""
    if value is None:
        return UNKNOWN
    return "< 0.0001" if value < _ALMOST_ZERO else f"{value:.4f}" if value < 0.01 else f"{value:.3f}"


def count(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}"


def plain(value: float) -> str:
    """A number as it is typed into a form: 50, 12.5."""
    return f"{value:.10g}"


def number(value: float | None, digits: int = 2) -> str:
    return UNKNOWN if value is None else f"{value:,.{digits}f}"


def moment(value: datetime | None, zone: tzinfo | None = None) -> str:
    """2026-11-22 08:00 UTC, in the given time zone or that of the value."""
    return UNKNOWN if value is None else f"{value.astimezone(zone or value.tzinfo):%Y-%m-%d %H:%M %Z}"


def days(hours: float) -> str:
    """168 → 7 days, 36 → 36 hours."""
    whole = timedelta(hours=hours)
    if whole.seconds or not whole.days:
        return f"{hours:g} hour{'' if hours == 1 else 's'}"
    return f"{whole.days} day{'' if whole.days == 1 else 's'}"


FILTERS: dict[str, Callable[..., str]] = {
    "rate": rate, "change": change, "span": span, "p": p_value, "count": count, "number": number, "plain": plain,
    "moment": moment, "duration": days,
}  # fmt: skip
