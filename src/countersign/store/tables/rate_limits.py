"""Consumes and resets rate limits outside the ledger's batches, and deletes counters that no longer count."""

from __future__ import annotations

from collections.abc import Sequence

from countersign.domain.verifications.rate_limit import RateLimit, RateLimitResult, check_limit
from countersign.store.engine.database import Sql, Take, Upsert, Write
from countersign.store.tables.schema import LIMITS


async def consume(limits: Sequence[tuple[RateLimit, bytes]], now: int) -> tuple[RateLimitResult, ...]:
    """Count one use against every limit that allows it, each given with its key; return the result of each limit, in their order."""
    rows = await Take(LIMITS, sorted((key,) for _, key in limits))
    tats = {bytes(key): tat for key, tat in rows}
    results = tuple(check_limit(limit, tats.get(key), now) for limit, key in limits)
    changed = [(key, result.tat) for (_, key), result in zip(limits, results, strict=True) if result.allowed]
    await Write((Upsert(LIMITS, sorted(changed)),), last=True)
    return results


async def reset(key: bytes) -> None:
    """Reset a limit, because what it counted turned out to be its owner."""
    await Sql("DELETE FROM limits WHERE key = $1", (key,))


async def delete_expired(now: int, before: int) -> None:
    """Delete idempotent answers that have expired, rate limits that have been full since `before` (ms), and counts without failures."""
    await Sql("DELETE FROM answers WHERE expires_at <= $1", (now,))
    await Sql("DELETE FROM limits WHERE tat < $1", (before,))
    await Sql("DELETE FROM standings WHERE in_a_row = 0 AND day_began_at < $1", (before,))
