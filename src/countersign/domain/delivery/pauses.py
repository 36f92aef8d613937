"""Pauses between the tries of a message that nobody but the last provider of its route can send. Times are in ms."""

from __future__ import annotations

from typing import Final

FIRST: Final = 30_000
"""The first long pause. Each further one is twice as long, up to a longest one."""

LONGEST_FOR_MINUTES: Final = 120_000
"""The longest pause of a message that is of use for minutes, such as a code: it still arrives in time once a mail server is back."""

LONGEST_FOR_DAYS: Final = 3_600_000
"""The longest pause of a message that is of use for days, such as a notice."""

_LIFETIME_IN_PAUSES: Final = 100
_MAX_DOUBLINGS: Final = 20


def long_pause(number: int, lifetime: int) -> int:
    """Return the ms of the long pause of this number, from 1, in a message that is of use for `lifetime` ms in all.

    >>> [long_pause(number, 600_000) for number in range(1, 5)]
    [30000, 60000, 120000, 120000]
    """
    longest = min(LONGEST_FOR_DAYS, max(LONGEST_FOR_MINUTES, lifetime // _LIFETIME_IN_PAUSES))
    return min(FIRST << min(number - 1, _MAX_DOUBLINGS), longest)
