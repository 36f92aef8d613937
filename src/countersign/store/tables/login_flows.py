"""Visits as rows; what a visit holds is sealed as a whole."""

from __future__ import annotations

from countersign.store.engine.database import Change, Query, Steps, Upsert, Write
from countersign.store.tables.schema import VISITS


def find(mark: bytes, now: int) -> Steps[bytes | None]:
    """Return the sealed visit of this mark, unless it has ended."""
    rows = yield Query("SELECT data FROM visits WHERE mark = $1 AND expires_at > $2", (mark, now))
    return bytes(rows[0][0]) if rows else None


def save(mark: bytes, data: bytes, expires_at: int, beside: tuple[Change, ...] = ()) -> Steps[None]:
    """Write a visit, and what else is written with it."""
    yield Write((Upsert(VISITS, [(mark, data, expires_at)]), *beside), last=True)


def move(mark: bytes, before: bytes, after: bytes) -> Steps[bool]:
    """Move a visit on from what it was; False if it has ended or moved meanwhile."""
    rows = yield Query(
        "UPDATE visits SET data = $1 WHERE mark = $2 AND data = $3 RETURNING mark", (after, mark, before)
    )
    return bool(rows)


def take(mark: bytes) -> Steps[bool]:
    """End a visit; True for one caller alone, who goes on with it."""
    return bool((yield Query("DELETE FROM visits WHERE mark = $1 RETURNING mark", (mark,))))


def forget(now: int, most: int) -> Steps[int]:
    """Delete visits that ended by their time, at most `most`; return how many went."""
    rows = yield Query("SELECT mark FROM visits WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2", (now, most))
    for (mark,) in rows:
        yield Query("DELETE FROM visits WHERE mark = $1", (bytes(mark),))
    return len(rows)
