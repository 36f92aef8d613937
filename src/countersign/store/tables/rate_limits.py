"""Consumes and resets rate limits outside the ledger's batches, and deletes counters that no longer count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from countersign.domain.verifications.rate_limit import RateLimit, RateLimitResult, check_limit
from countersign.store.engine.database import Change, Sql, Take, Upsert, Write
from countersign.store.tables.deletion import FIRST_KEY, LAST_KEY, delete_rows, delete_slice
from countersign.store.tables.schema import ANSWERS, LIMITS, STANDINGS


async def consume(limits: Sequence[tuple[RateLimit, bytes]], now: int) -> tuple[RateLimitResult, ...]:
    """Count one use against every limit that allows it, each given with its key; return the result of each limit, in their order."""
    rows = await Take(LIMITS, sorted((key,) for _, key in limits))
    tats = {bytes(key): tat for key, tat in rows}
    results = tuple(check_limit(limit, tats.get(key), now) for limit, key in limits)
    changed = [(key, result.tat) for (_, key), result in zip(limits, results, strict=True) if result.allowed]
    await Write((Upsert(LIMITS, sorted(changed)),), last=True)
    return results


async def lock_timestamps(keys: Sequence[bytes]) -> dict[bytes, int]:
    """Return the timestamps of limits by key, which nobody else changes until the transaction ends. An unused limit has none."""
    rows = await Take(LIMITS, [(key,) for key in sorted(set(keys))]) if keys else ()
    return {bytes(key): tat for key, tat in rows}


def upsert_timestamps(timestamps: Mapping[bytes, int]) -> tuple[Change, ...]:
    """Return the change that writes timestamps of limits; read them by `lock_timestamps` before, in the same transaction."""
    return (Upsert(LIMITS, sorted(timestamps.items())),) if timestamps else ()


async def reset(key: bytes) -> None:
    """Reset a limit, because what it counted turned out to be its owner."""
    await Sql("DELETE FROM limits WHERE key = $1", (key,))


async def delete_expired(now: int, before: int) -> None:
    """Delete idempotent answers that have expired, rate limits that have been full since `before` (ms), and counts without failures.

    All in one transaction; the sweep goes in steps.
    """
    for walk in (delete_without_failures, delete_unused):
        after = FIRST_KEY
        while after != LAST_KEY:
            after = await walk(before, after, LAST_KEY)
    await Sql("DELETE FROM answers WHERE expires_at <= $1", (now,))


async def delete_expired_answers(now: int, limit: int) -> int:
    """Delete at most `limit` idempotent answers that have expired; return how many were deleted."""
    return await delete_rows(ANSWERS, "expires_at <= $1", (now,), order_by="expires_at", limit=limit)


async def delete_unused(before: int, after: bytes, until: bytes) -> bytes:
    """Delete limits that have been full since `before` (ms) among the next after the key `after`; return where to go on."""
    return await delete_slice(LIMITS, "tat < $1", (before,), after, until)


async def delete_without_failures(before: int, after: bytes, until: bytes) -> bytes:
    """Delete counts without failures whose day began before `before` (ms), as `delete_unused` does."""
    return await delete_slice(STANDINGS, "in_a_row = 0 AND day_began_at < $1", (before,), after, until)
