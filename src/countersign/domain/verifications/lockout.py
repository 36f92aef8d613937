"""Lockout: wrong codes for one contact of one account, and wrong guesses in a row at its authenticators, each in the lane they came by."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.verifications.lanes import Lane

HOUR: Final = 3_600_000
DAY: Final = 86_400_000
PAUSE_AFTER: Final = 20
"""Failures within a day from browsers that are not remembered. After these, such browsers must use another method (semantics C6)."""

LOCK_AFTER: Final = 100
"""Consecutive failures after which an authenticator's codes are not compared any more: NIST SP 800-63B-4, 3.2.2."""


class FailedAttempts(msgspec.Struct, frozen=True):
    """Wrong codes for one contact: in a row, and in the day from `day_began_at` (ms). Of anonymous requests the day alone counts.

    `in_a_row` counts every lane, `session_in_a_row` sessions and trusted browsers, and `trusted_in_a_row` trusted browsers: a failure
    counts for its own lane and for weaker ones, never for a stronger one (semantics L1). A day is counted for each lane by itself.
    """

    in_a_row: int = 0
    day_began_at: int = 0
    in_day: int = 0
    session_in_a_row: int = 0
    session_in_day: int = 0
    trusted_in_a_row: int = 0


NO_FAILURES: Final = FailedAttempts()


def after_failure(failures: FailedAttempts, now: int, *, lane: Lane) -> FailedAttempts:
    """Return the counts after one wrong code. One of a trusted browser does not count towards a day, an anonymous one not in a row."""
    fresh_day = not failures.day_began_at <= now < failures.day_began_at + DAY
    lasts, is_trusted = lane is not Lane.ANONYMOUS, lane is Lane.TRUSTED_BROWSER
    is_session = lane is Lane.SESSION
    return FailedAttempts(
        in_a_row=failures.in_a_row + lasts,
        day_began_at=now if fresh_day else failures.day_began_at,
        in_day=(0 if fresh_day else failures.in_day) + (not is_trusted and not is_session),
        session_in_a_row=failures.session_in_a_row + (is_session or is_trusted),
        session_in_day=(0 if fresh_day else failures.session_in_day) + is_session,
        trusted_in_a_row=failures.trusted_in_a_row + is_trusted,
    )


def paused_for(failures: FailedAttempts, now: int, *, lane: Lane) -> int:
    """Return for how many ms from `now` this lane must use another method: 0 if not paused. Trusted browsers never pause."""
    end = failures.day_began_at + DAY
    in_day = failures.session_in_day if lane is Lane.SESSION else failures.in_day
    if lane is Lane.TRUSTED_BROWSER or in_day < PAUSE_AFTER or not failures.day_began_at <= now < end:
        return 0
    return end - now


def is_locked(failures: FailedAttempts, *, lane: Lane) -> bool:
    """Return True if the contact must be bound again before this lane's codes are accepted. Anybody's requests never lock (L2)."""
    match lane:
        case Lane.ANONYMOUS:
            return False
        case Lane.PASSWORD:
            return failures.in_a_row >= LOCK_AFTER
        case Lane.SESSION:
            return failures.session_in_a_row >= LOCK_AFTER
        case Lane.TRUSTED_BROWSER:
            return failures.trusted_in_a_row >= LOCK_AFTER


class ConsecutiveFailures(msgspec.Struct, frozen=True):
    """Wrong guesses in a row at one authenticator of one account in one lane, and when the last one was compared (ms)."""

    count: int = 0
    last_at: int = 0


def is_stopped(failures: ConsecutiveFailures) -> bool:
    """Return True if no further guess is compared before a right proof of another kind."""
    return failures.count >= LOCK_AFTER


def guess_pause(failures: ConsecutiveFailures, now: int) -> int:
    """Return for how many ms from `now` no further guess is compared: 0 below LOCK_AFTER.

    From then on each wrong guess is followed by a pause: an hour, and twice as long each time, up to a day. Passwords are guessed by
    anybody, so that a stop for good would be a way to shut the owner out (semantics L2).
    """
    over = failures.count - LOCK_AFTER
    if over < 0:
        return 0
    pause = min(HOUR << min(over, 5), DAY)
    since = now - failures.last_at
    return pause - since if 0 <= since < pause else 0
