"""Counts guesses at an authenticator before they are compared: within its rate limits, and in a row (semantics C5, L3)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from countersign.domain.verifications.lockout import ConsecutiveFailures, guess_pause, is_stopped
from countersign.domain.verifications.rate_limit import KeyedLimits, RateLimitResult, check_limit
from countersign.store.engine.database import Sql, Take, Upsert, Write
from countersign.store.tables.schema import LIMITS, STANDINGS


class GuessCounter(msgspec.Struct, frozen=True):
    """What one guess counts for.

    - `gates`: rate limits, each with its key. If one of them refuses, nothing is counted, and nothing is written.
    - `limits`: further ones, of which one that refuses leaves the others counted.
    - `failures_key`: the key of the guesses in a row.
    - `has_account`: there is an account. Otherwise the row is one that the sweep deletes after a day, for anybody can make such rows.
    - `pauses`: after LOCK_AFTER guesses in a row comes a pause (`guess_pause`), not a stop.
    """

    limits: KeyedLimits
    failures_key: bytes
    gates: KeyedLimits = ()
    has_account: bool = True
    pauses: bool = False


class GuessResult(msgspec.Struct, frozen=True):
    """The results of the limits, and whether too many guesses in a row were wrong, so that this one is not compared.

    `wait` are the ms after which the gates may let a request by, 0 if they did.
    """

    results: tuple[RateLimitResult, ...]
    is_stopped: bool
    wait: int

    @property
    def is_allowed(self) -> bool:
        """Return True if the guess may be compared."""
        return not self.wait and not self.is_stopped and all(result.allowed for result in self.results)


async def consume(counter: GuessCounter, now: int) -> GuessResult:
    """Count one guess. It counts as wrong until `reset`, so that many at once cannot be compared before the first is counted.

    A guess that a limit refuses, or that is stopped, is not compared, and does not count in a row. The same rows are written in every case:
    the time that this takes must not show what was found (semantics S1). A gate belongs to a network, so it shows nothing. Beyond it no
    row is written, or whoever goes on asking would fill the database.
    """
    rows = await Take(STANDINGS, [(counter.failures_key,)])
    in_a_row, last_at, unknown = rows[0][1:4] if rows else (0, 0, 0)
    before = ConsecutiveFailures(in_a_row if counter.has_account else unknown, last_at)
    keyed = (*counter.gates, *counter.limits)
    tats = {bytes(key): tat for key, tat in await Take(LIMITS, sorted((key,) for _, key in keyed))}
    results = tuple(check_limit(limit, tats.get(key), now) for limit, key in keyed)
    wait = max((result.retry_after for result in results[: len(counter.gates)]), default=0)
    stopped = guess_pause(before, now) > 0 if counter.pauses else is_stopped(before)
    counted = GuessResult(results[len(counter.gates) :], stopped, wait)
    if wait:
        return counted
    after = ConsecutiveFailures(before.count + 1, now) if counted.is_allowed else before
    counts = (after.count, after.last_at, 0) if counter.has_account else (0, after.last_at, after.count)
    limits = [(key, result.tat) for (_, key), result in zip(keyed, results, strict=True)]
    row = (counter.failures_key, *counts, 0, 0, 0)
    await Write((Upsert(LIMITS, sorted(limits)), Upsert(STANDINGS, [row])), last=True)
    return counted


async def reset(limit_keys: Sequence[bytes], failures_keys: Sequence[bytes]) -> None:
    """Forget what was counted, because it turned out to be the owner. Rows are locked in the order of `consume`: no two can deadlock."""
    for key in sorted(failures_keys):
        await Sql("DELETE FROM standings WHERE key = $1", (key,))
    for key in sorted(limit_keys):
        await Sql("DELETE FROM limits WHERE key = $1", (key,))
