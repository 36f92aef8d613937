"""A standing: how often codes to one contact of one account were answered wrong, across challenges, browsers and addresses."""

from __future__ import annotations

from typing import Final

import msgspec

DAY: Final = 86_400_000
PAUSE_AFTER: Final = 20
"""Failures within a day from browsers that are not remembered, after which another method is asked for (semantics C6)."""

LOCK_AFTER: Final = 100
"""Failures in a row after which the contact must be bound anew: NIST SP 800-63B-4, 3.2.2."""


class FailedAttempts(msgspec.Struct, frozen=True):
    """Failures in a row, and those of new browsers within the day that began at `day_began_at` (ms)."""

    in_a_row: int = 0
    day_began_at: int = 0
    in_day: int = 0


NO_FAILURES: Final = FailedAttempts()


def after_failure(failures: FailedAttempts, now: int, *, remembered: bool) -> FailedAttempts:
    """Count one wrong answer; a remembered browser's does not use up the day of the new ones."""
    fresh_day = not failures.day_began_at <= now < failures.day_began_at + DAY
    return FailedAttempts(
        in_a_row=failures.in_a_row + 1,
        day_began_at=now if fresh_day else failures.day_began_at,
        in_day=(0 if fresh_day else failures.in_day) + (not remembered),
    )


def paused_for(failures: FailedAttempts, now: int, *, remembered: bool) -> int:
    """Return for how many milliseconds new browsers must use another method; 0 if not paused."""
    end = failures.day_began_at + DAY
    if remembered or failures.in_day < PAUSE_AFTER or not failures.day_began_at <= now < end:
        return 0
    return end - now


def is_locked(failures: FailedAttempts) -> bool:
    """Say whether the contact must be bound anew before a code to it counts again."""
    return failures.in_a_row >= LOCK_AFTER
