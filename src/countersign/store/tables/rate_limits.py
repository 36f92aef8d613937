"""Counters outside the ledger's batches: how they are spent, and how those that outlived their use are forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from countersign.domain.verifications.rate_limit import RateLimit, RateLimitResult, check_limit
from countersign.store.engine.database import Sql, Take, Upsert, Write
from countersign.store.tables.schema import LIMITS


async def delete_expired(now: int, before: int) -> None:
    """Delete answers whose time is over, limits that are full again since `before` (ms), and counts of contacts that are clean."""
    await Sql("DELETE FROM answers WHERE expires_at <= $1", (now,))
    await Sql("DELETE FROM limits WHERE tat < $1", (before,))
    await Sql("DELETE FROM standings WHERE in_a_row = 0 AND day_began_at < $1", (before,))


async def consume(limits: Sequence[tuple[RateLimit, bytes]], now: int) -> tuple[RateLimitResult, ...]:
    """Take one from every budget that has one left; return what each answers."""
    rows = await Take(LIMITS, [(key,) for _, key in limits])
    tats = {bytes(key): tat for key, tat in rows}
    rooms = tuple(check_limit(limit, tats.get(key), now) for limit, key in limits)
    changed = [(key, room.tat) for (_, key), room in zip(limits, rooms, strict=True) if room.allowed]
    await Write((Upsert(LIMITS, changed),), last=True)
    return rooms


async def reset(key: bytes) -> None:
    """Give a budget back whole: what it counted turned out to be its owner."""
    await Sql("DELETE FROM limits WHERE key = $1", (key,))
