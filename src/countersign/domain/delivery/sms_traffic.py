"""Traffic: the places that a number lies in, and what was sent to each and came back; times in ms."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

SLOT: Final = 5 * MINUTE
"""What was sent is counted for each five minutes, by the clock."""

CONVERSION_DELAY: Final = 2 * MINUTE
"""After this, a code that will come back mostly has: a message is counted as missed no sooner."""

RETENTION: Final = 8 * DAY
"""How long counts are kept: a week before the day that is judged."""

RANGE_RETENTION: Final = 2 * DAY
"""How long those of narrow ranges are: there are many, and what is judged is a day."""

NEW_PREFIXES: Final = "*"
"""The place of all prefixes together from which too few codes have come back to know them."""

KNOWN_AFTER: Final = 10
"""Conversions that make a prefix known."""

RANGE_MARKER: Final = "#"
RANGES: Final = (3, 4, 5)
"""How many last digits are free in the ranges around a number."""


class TrafficScope(StrEnum):
    """How wide a place is, the narrowest first: the order in which places are judged."""

    THOUSAND = "thousand"
    TEN_THOUSAND = "ten_thousand"
    HUNDRED_THOUSAND = "hundred_thousand"
    PREFIX = "prefix"
    NEW_PREFIXES = "fresh"
    COUNTRY = "country"
    APPLICATION = "application"


SCOPE_OF_RANGE: Final = {3: TrafficScope.THOUSAND, 4: TrafficScope.TEN_THOUSAND, 5: TrafficScope.HUNDRED_THOUSAND}


class TrafficSlot(msgspec.Struct, frozen=True):
    """What was sent to a place in the time that begins at `at`: messages, micros, and messages whose code came back."""

    at: int
    sent: int = 0
    spent: int = 0
    converted: int = 0


class Hold(msgspec.Struct, frozen=True):
    """A place is held: from when, until when, and which hold within a week it is (1 for the first, 0 for a budget)."""

    since: int
    until: int
    times: int
    lifted_at: int | None = None

    @property
    def ends_at(self) -> int:
        """Return when it ends or has ended."""
        return self.until if self.lifted_at is None else min(self.until, self.lifted_at)


class TrafficKey(msgspec.Struct, frozen=True):
    """A place that a number lies in: `name` is a prefix, a country, FRESH, "" for the application, or a keyed hash of a range."""

    scope: TrafficScope
    name: str


class TrafficHistory(msgspec.Struct, frozen=True):
    """What is known of a place: its counts (in any order), its latest hold, and until when it was told that a budget is spent.

    `past` is the sum of what lies before the counts and begins with the first of it (0: nothing does); nobody needs to part it.
    """

    slots: tuple[TrafficSlot, ...] = ()
    hold: Hold | None = None
    budget_spent_until: int = 0
    past: TrafficSlot = TrafficSlot(0)


def traffic_keys_of(country: str, prefix: str, ranges: Mapping[int, str], *, fresh: bool) -> tuple[TrafficKey, ...]:
    """Return the places of a number, the narrowest first. `ranges` are keyed hashes of the number without its last digits, by how many."""
    found = [TrafficKey(SCOPE_OF_RANGE[digits], RANGE_MARKER + ranges[digits]) for digits in sorted(ranges)]
    found.append(TrafficKey(TrafficScope.PREFIX, prefix))
    if fresh:
        found.append(TrafficKey(TrafficScope.NEW_PREFIXES, NEW_PREFIXES))
    if country:
        found.append(TrafficKey(TrafficScope.COUNTRY, country))
    found.append(TrafficKey(TrafficScope.APPLICATION, ""))
    return tuple(found)


def number_range(number: str, prefix: str, digits: int) -> str | None:
    """Return a number in E.164 without its last digits, or None where that is no narrower than its prefix."""
    return number[:-digits] if len(number) - digits > len(prefix) else None


def is_new_prefix(prefix: TrafficHistory) -> bool:
    """Say whether too few codes have come back from a prefix to know it."""
    return prefix.past.converted + sum(slot.converted for slot in prefix.slots) < KNOWN_AFTER
