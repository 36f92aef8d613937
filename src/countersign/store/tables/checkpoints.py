"""Signed checkpoints of the event log as rows."""

from __future__ import annotations

from countersign.store.engine.database import Insert, Query, Steps, Write
from countersign.store.tables.schema import CHECKPOINTS


def last() -> Steps[tuple[int, str] | None]:
    """Return the number and the text of the newest checkpoint, or None."""
    rows = yield Query("SELECT number, signed FROM checkpoints ORDER BY number DESC LIMIT 1")
    return (rows[0][0], rows[0][1]) if rows else None


def add(number: int, at: int, signed: str) -> Steps[None]:
    """Add a checkpoint; a number that is taken raises ConflictError."""
    yield Write((Insert(CHECKPOINTS, [(number, at, signed)]),))


def all_of_them() -> Steps[list[tuple[int, str]]]:
    """Return every checkpoint, oldest first."""
    rows = yield Query("SELECT number, signed FROM checkpoints ORDER BY number")
    return [(number, signed) for number, signed in rows]
