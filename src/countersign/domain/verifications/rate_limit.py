"""Rate limits by the generic cell rate algorithm (ITU-T I.371, annex A), with one timestamp for each key and limit."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class RateLimit(msgspec.Struct, frozen=True):
    """Allows `burst` requests at once, then one more every `period / burst` ms. API responses show `name`.

    `period` is in ms: `RateLimit("destination", 5, 600_000)` allows five requests in ten minutes.
    """

    name: str
    burst: int
    period: int

    @property
    def interval(self) -> int:
        """Return the ms after which one more request is allowed."""
        return max(1, self.period // self.burst)


def widen(limit: RateLimit, times: int) -> RateLimit:
    """Return the same limit for a network that has `times` as much."""
    return msgspec.structs.replace(limit, burst=limit.burst * times)


KeyedLimits: TypeAlias = tuple[tuple[RateLimit, bytes], ...]
"""Rate limits, each with the keyed hash under which its timestamp is stored."""


class RateLimitResult(msgspec.Struct, frozen=True):
    """The outcome of a rate limit. All times are in ms.

    `tat` is the timestamp to store. `remaining` requests are left; after `reset_after` all of `burst` are. `retry_after` is 0 if allowed.
    """

    allowed: bool
    tat: int
    remaining: int
    retry_after: int
    reset_after: int


def check_limit(limit: RateLimit, tat: int | None, now: int) -> RateLimitResult:
    """Check one request at `now` (ms) against `tat`, the stored theoretical arrival time (None if there is none).

    A refused request is not counted: `tat` is returned unchanged. A clock that ran ahead and was set back can leave a `tat` far in the
    future. If it is more than a whole period beyond what the limit can have allowed, it counts as absent. Otherwise a machine that ran a
    year ahead for a minute would block people for a year. Smaller differences between the clocks of several machines are accepted.
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
