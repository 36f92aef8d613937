"""Lockout: the wrong codes for one contact of one account, counted across challenges, browsers and network addresses."""

from __future__ import annotations

from typing import Final

import msgspec

DAY: Final = 86_400_000
PAUSE_AFTER: Final = 20
"""Failures within a day from browsers that are not remembered. After these, such browsers must use another method (semantics C6)."""

LOCK_AFTER: Final = 100
"""Consecutive failures after which the contact must be bound again: NIST SP 800-63B-4, 3.2.2."""


class FailedAttempts(msgspec.Struct, frozen=True):
    """Consecutive failures, and those of browsers that are not remembered in the day from `day_began_at` (ms)."""

    in_a_row: int = 0
    day_began_at: int = 0
    in_day: int = 0


NO_FAILURES: Final = FailedAttempts()


def after_failure(failures: FailedAttempts, now: int, *, remembered: bool) -> FailedAttempts:
    """Return the counts after one wrong code. A failure of a remembered browser does not count towards the day."""
    fresh_day = not failures.day_began_at <= now < failures.day_began_at + DAY
    return FailedAttempts(
        in_a_row=failures.in_a_row + 1,
        day_began_at=now if fresh_day else failures.day_began_at,
        in_day=(0 if fresh_day else failures.in_day) + (not remembered),
    )


def paused_for(failures: FailedAttempts, now: int, *, remembered: bool) -> int:
    """Return for how many ms from `now` browsers that are not remembered must use another method: 0 if not paused."""
    end = failures.day_began_at + DAY
    if remembered or failures.in_day < PAUSE_AFTER or not failures.day_began_at <= now < end:
        return 0
    return end - now


def is_locked(failures: FailedAttempts) -> bool:
    """Return True if the contact must be bound again before its codes are accepted."""
    return failures.in_a_row >= LOCK_AFTER
