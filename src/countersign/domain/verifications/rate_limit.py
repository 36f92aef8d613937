"""A limit: the generic cell rate algorithm (ITU-T I.371, annex A), one timestamp per key and rule."""

from __future__ import annotations

import msgspec


class RateLimit(msgspec.Struct, frozen=True):
    """`burst` acts at once, and one more each `period / burst`; `name` is told to who meets it.

    `period` is in milliseconds: `Limit("destination", 5, 600_000)` is five in ten minutes.
    """

    name: str
    burst: int
    period: int

    @property
    def interval(self) -> int:
        """Return the milliseconds after which one more act is allowed."""
        return max(1, self.period // self.burst)


class RateLimitResult(msgspec.Struct, frozen=True):
    """What a limit answers: the timestamp to keep, how many acts are left, and when to try again (both in ms)."""

    allowed: bool
    tat: int
    remaining: int
    retry_after: int
    reset_after: int


def check_limit(limit: RateLimit, tat: int | None, now: int) -> RateLimitResult:
    """Judge one act at `now` against the stored theoretical arrival time `tat` (None: never seen).

    A refused act is not counted: `tat` comes back unchanged. One that lies further ahead than a whole period beyond what the limit can
    have allowed was written by a clock that has been set back since, and counts as never seen: else a machine that was a
    year ahead for a minute would leave behind limits that are met for a year. Clocks of several machines may differ by less.
    """
    interval = limit.interval
    tolerance = interval * limit.burst
    before = now if tat is None or tat > now + 2 * tolerance else max(tat, now)
    after = before + interval
    over = after - tolerance - now
    if over > 0:
        return RateLimitResult(allowed=False, tat=before, remaining=0, retry_after=over, reset_after=before - now)
    return RateLimitResult(
        allowed=True,
        tat=after,
        remaining=-over // interval,
        retry_after=0,
        reset_after=after - now,
    )
