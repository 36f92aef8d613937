"""Visits as rows; what a visit holds is sealed as a whole."""

from __future__ import annotations

from countersign.store.engine.database import Change, Sql, Upsert, Write
from countersign.store.tables.schema import VISITS


async def find(mark: bytes, now: int) -> bytes | None:
    """Return the sealed visit of this mark, unless it has ended."""
    rows = await Sql("SELECT data FROM visits WHERE mark = $1 AND expires_at > $2", (mark, now))
    return bytes(rows[0][0]) if rows else None


async def save(mark: bytes, data: bytes, expires_at: int, beside: tuple[Change, ...] = ()) -> None:
    """Write a visit, and what else is written with it."""
    await Write((Upsert(VISITS, [(mark, data, expires_at)]), *beside), last=True)


async def replace(mark: bytes, before: bytes, after: bytes) -> bool:
    """Move a visit on from what it was; False if it has ended or moved meanwhile."""
    rows = await Sql("UPDATE visits SET data = $1 WHERE mark = $2 AND data = $3 RETURNING mark", (after, mark, before))
    return bool(rows)


async def delete(mark: bytes) -> bool:
    """End a visit; True for one caller alone, who goes on with it."""
    return bool(await Sql("DELETE FROM visits WHERE mark = $1 RETURNING mark", (mark,)))


async def delete_expired(now: int, most: int) -> int:
    """Delete visits that ended by their time, at most `most`; return how many went."""
    rows = await Sql("SELECT mark FROM visits WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2", (now, most))
    for (mark,) in rows:
        await Sql("DELETE FROM visits WHERE mark = $1", (bytes(mark),))
    return len(rows)
