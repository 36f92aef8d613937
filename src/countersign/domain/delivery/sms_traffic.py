"""SMS traffic: the traffic keys of a number, and the counts of messages and conversions for each. Times are in ms."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

SLOT: Final = 10_000
"""The width of a count: ten seconds of the clock, so that it is known how long ago its messages were sent."""

WIDE_SLOT: Final = 5 * MINUTE
"""The width of a count whose messages have all had the time to be answered."""

RETENTION: Final = 8 * DAY
"""How long counts are kept: a week before the day that is checked."""

RANGE_RETENTION: Final = 2 * DAY
"""How long counts of number ranges are kept. There are many ranges, and only a day of theirs is checked."""

NEW_PREFIXES: Final = "*"
"""The name of the traffic key of all new prefixes together: those with too few conversions to be known."""

KNOWN_AFTER: Final = 10
"""Conversions after which a prefix is known."""

RANGE_MARKER: Final = "#"
RANGES: Final = (3, 4, 5)
"""Last digits that vary within the ranges around a number."""


class TrafficScope(StrEnum):
    """How many numbers a traffic key covers, the fewest first. Keys are checked in this order."""

    THOUSAND = "thousand"
    TEN_THOUSAND = "ten_thousand"
    HUNDRED_THOUSAND = "hundred_thousand"
    PREFIX = "prefix"
    NEW_PREFIXES = "fresh"
    COUNTRY = "country"
    APPLICATION = "application"


SCOPE_OF_RANGE: Final = {3: TrafficScope.THOUSAND, 4: TrafficScope.TEN_THOUSAND, 5: TrafficScope.HUNDRED_THOUSAND}


class TrafficSlot(msgspec.Struct, frozen=True):
    """Counts of the slot that begins at `at`: codes sent, micros spent, codes that were entered, and notices sent.

    Notices are apart, because nobody can enter anything for them. The money that they cost is part of `spent`.
    """

    at: int
    sent: int = 0
    spent: int = 0
    converted: int = 0
    notices: int = 0


def difference(one: TrafficSlot, other: TrafficSlot) -> TrafficSlot:
    """Return the counts of `one` without those of `other`."""
    return TrafficSlot(
        one.at,
        one.sent - other.sent,
        one.spent - other.spent,
        one.converted - other.converted,
        one.notices - other.notices,
    )


class Hold(msgspec.Struct, frozen=True):
    """A hold from `since` to `until`. `times` is its number within a week: 1 for the first, 0 for a spent budget."""

    since: int
    until: int
    times: int
    lifted_at: int | None = None

    @property
    def ends_at(self) -> int:
        """Return when the hold ends or ended, whether by time or because an operator lifted it."""
        return self.until if self.lifted_at is None else min(self.until, self.lifted_at)


class TrafficKey(msgspec.Struct, frozen=True):
    """Numbers whose traffic is counted together.

    `name` is a prefix, a country, NEW_PREFIXES, "" for the whole application, or RANGE_MARKER and the keyed hash of a range.
    """

    scope: TrafficScope
    name: str


FRESH: Final = TrafficKey(TrafficScope.NEW_PREFIXES, NEW_PREFIXES)
"""The traffic key of all new prefixes together."""


class TrafficHistory(msgspec.Struct, frozen=True):
    """The counts of a traffic key (in any order), its latest hold, and the time until which a spent budget was recorded.

    `past` is the sum of all earlier counts and begins with the first of them (0: there are none).
    """

    slots: tuple[TrafficSlot, ...] = ()
    hold: Hold | None = None
    budget_spent_until: int = 0
    past: TrafficSlot = TrafficSlot(0)


def traffic_keys_of(country: str, prefix: str, ranges: Mapping[int, str], *, fresh: bool) -> tuple[TrafficKey, ...]:
    """Return the traffic keys of a number, the narrowest first.

    `ranges` maps the number of last digits that were removed to the keyed hash of the rest. `fresh` is True if the prefix is new.
    """
    found = [TrafficKey(SCOPE_OF_RANGE[digits], RANGE_MARKER + ranges[digits]) for digits in sorted(ranges)]
    found.append(TrafficKey(TrafficScope.PREFIX, prefix))
    if fresh:
        found.append(TrafficKey(TrafficScope.NEW_PREFIXES, NEW_PREFIXES))
    if country:
        found.append(TrafficKey(TrafficScope.COUNTRY, country))
    found.append(TrafficKey(TrafficScope.APPLICATION, ""))
    return tuple(found)


def number_range(number: str, prefix: str, digits: int) -> str | None:
    """Return a number (E.164) without its last `digits`, or None if that is no narrower than its prefix."""
    return number[:-digits] if len(number) - digits > len(prefix) else None


def is_new_prefix(prefix: TrafficHistory) -> bool:
    """Return True if the prefix with this history has too few conversions to be known."""
    return prefix.past.converted + sum(slot.converted for slot in prefix.slots) < KNOWN_AFTER
