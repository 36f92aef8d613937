"""Dates and times with their time zone, in the format of a language."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time, format_timedelta, get_timezone_name

if TYPE_CHECKING:
    from babel import Locale

_MINUTE: Final = 60_000
_ABBREVIATION: Final = re.compile(r"[A-Z]{2,5}")
_MAX_ZONE: Final = 64  # characters; the longest name has 32


def time_of_day(at: int, timezone: str, locale: Locale) -> str:
    """Return `16:32 UTC`, `4:32 PM UTC` or `17:32 MEZ`: the time of `at` (ms) in `timezone` (an IANA name; UTC if unknown)."""
    return _written(at // _MINUTE, timezone[:_MAX_ZONE], locale)[1]


def day(at: int, timezone: str, locale: Locale) -> str:
    """Return `November 23, 2026` or `23. November 2026`: the date of `at` (ms) in `timezone`."""
    return _written(at // _MINUTE, timezone[:_MAX_ZONE], locale)[0]


def span(seconds: int, locale: Locale) -> str:
    """Return `10 minutes` or `10 Minuten`: so many seconds in one unit, rounded up."""
    return _span(seconds, locale, directed=False)


def after(seconds: int, locale: Locale) -> str:
    """Return `in 10 minutes` or `dans 10 minutes`: the time after so many seconds from now, in one unit, rounded up."""
    return _span(seconds, locale, directed=True)


def _span(seconds: int, locale: Locale, *, directed: bool) -> str:
    unit = next((unit for unit, most in _UNITS if seconds <= most * unit), _DAY)
    number = max(1, -(-seconds // unit))
    # The threshold is the number itself, so that exactly this unit is the first to reach it.
    return format_timedelta(timedelta(seconds=number * unit), threshold=number, add_direction=directed, locale=locale)


_DAY: Final = 86_400
_UNITS: Final = ((1, 59), (60, 119), (3_600, 47))
"""Units of time in seconds, and how many of each are said at most."""


@lru_cache(maxsize=2048)
def _written(minute: int, timezone: str, locale: Locale) -> tuple[str, str]:
    # Cached, because messages of the same minute share their times and these patterns cost more than the rest of a message.
    zone = _zone(timezone)
    at = datetime.fromtimestamp(minute * 60, UTC).astimezone(zone)
    time = format_time(at, "short", tzinfo=zone, locale=locale)
    return format_date(at, "long", locale=locale), f"{time} {_zone_name(at, zone, locale)}"


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: the name of a folder of the zone files
        return UTC


def _zone_name(at: datetime, zone: tzinfo, locale: Locale) -> str:
    if zone is UTC:
        return "UTC"
    name = get_timezone_name(at, width="short", locale=locale)
    if _ABBREVIATION.fullmatch(name):
        return name
    # Where a language has no short name of its own, CLDR gives "+0530" or a long name. People know this one.
    offset = at.utcoffset() or timedelta()
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    if not hours and not minutes:
        return "UTC"
    sign = "-" if offset < timedelta() else "+"
    return f"UTC{sign}{hours}" + (f":{minutes:02}" if minutes else "")
