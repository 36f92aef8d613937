"""Reads and writes login flows: each is one sealed value, found by the keyed hash of the secret in the browser's cookie."""

from __future__ import annotations

from countersign.store.engine.database import Change, Sql, Upsert, Write
from countersign.store.tables.deletion import delete_rows
from countersign.store.tables.schema import VISITS


async def find(mark: bytes, now: int) -> bytes | None:
    """Return the sealed login flow with this mark, or None if there is none or it has expired."""
    rows = await Sql("SELECT data FROM visits WHERE mark = $1 AND expires_at > $2", (mark, now))
    return rows[0][0] if rows else None


async def save(mark: bytes, data: bytes, expires_at: int, beside: tuple[Change, ...] = ()) -> None:
    """Write a sealed login flow, and the changes that belong to the same transaction."""
    await Write((Upsert(VISITS, [(mark, data, expires_at)]), *beside), last=True)


async def replace(mark: bytes, before: bytes, after: bytes) -> bool:
    """Replace a sealed login flow; return False if it has ended, or is no longer what it was `before`."""
    rows = await Sql("UPDATE visits SET data = $1 WHERE mark = $2 AND data = $3 RETURNING mark", (after, mark, before))
    return bool(rows)


async def delete(mark: bytes) -> bool:
    """End a login flow; return True to one caller alone, who may complete it."""
    return bool(await Sql("DELETE FROM visits WHERE mark = $1 RETURNING mark", (mark,)))


async def delete_expired(now: int, limit: int) -> int:
    """Delete at most `limit` login flows that have expired; return how many were deleted."""
    return await delete_rows(VISITS, "expires_at <= $1", (now,), order_by="expires_at", limit=limit)
