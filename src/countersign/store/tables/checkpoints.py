"""Reads and writes the signed checkpoints of the event log."""

from __future__ import annotations

from countersign.store.engine.database import Insert, Sql, Write
from countersign.store.tables.event_schema import CHECKPOINTS


async def find_last() -> tuple[int, str] | None:
    """Return the number and the signed text of the newest checkpoint, or None."""
    rows = await Sql("SELECT number, signed FROM checkpoints ORDER BY number DESC LIMIT 1")
    return (rows[0][0], rows[0][1]) if rows else None


async def list_all() -> list[tuple[int, str]]:
    """Return the number and the signed text of every checkpoint, oldest first."""
    rows = await Sql("SELECT number, signed FROM checkpoints ORDER BY number")
    return [(number, signed) for number, signed in rows]


async def add(number: int, at: int, signed: str) -> None:
    """Add a checkpoint made at `at` (ms); raises ConflictError if there is one of this number."""
    await Write((Insert(CHECKPOINTS, [(number, at, signed)]),))
