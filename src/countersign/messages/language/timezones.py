"""Time zones that people may choose, and the one that a browser has told."""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import Final

_REGIONS: Final = frozenset(
    {"Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
)
_MAX_ZONE: Final = 64  # characters; the longest name has 32


@cache
def timezones() -> tuple[str, ...]:
    """Return the names of all time zones that have a place, and UTC first."""
    return ("UTC", *sorted(name for name in zoneinfo.available_timezones() if name.partition("/")[0] in _REGIONS))


@cache
def _known() -> frozenset[str]:
    return frozenset(timezones())


def known_timezone(name: str) -> str:
    """Return the name if there is such a time zone, else an empty string: whoever asks writes what he likes."""
    return name if len(name) <= _MAX_ZONE and name in _known() else ""
