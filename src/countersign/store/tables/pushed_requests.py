"""Reads and writes pushed authorization requests (RFC 9126): each is one sealed value, found by the keyed hash of its reference."""

from __future__ import annotations

from countersign.store.engine.database import Insert, Sql, Write
from countersign.store.tables.deletion import delete_rows
from countersign.store.tables.schema import PUSHED_REQUESTS


async def add(key: bytes, data: bytes, expires_at: int) -> None:
    """Add a request by the keyed hash of its reference; `expires_at` is in ms."""
    await Write((Insert(PUSHED_REQUESTS, [(key, data, expires_at)]),), last=True)


async def find(key: bytes, now: int) -> bytes | None:
    """Return the sealed request, or None if it is unknown, used or expired."""
    rows = await Sql("SELECT data FROM pushed_requests WHERE key = $1 AND expires_at > $2", (key, now))
    return rows[0][0] if rows else None


async def delete(key: bytes) -> bool:
    """Use a request up; return True to one caller alone."""
    return bool(await Sql("DELETE FROM pushed_requests WHERE key = $1 RETURNING key", (key,)))


async def delete_expired(now: int, limit: int) -> int:
    """Delete at most `limit` requests that have expired; return how many were deleted."""
    return await delete_rows(PUSHED_REQUESTS, "expires_at <= $1", (now,), order_by="expires_at", limit=limit)
