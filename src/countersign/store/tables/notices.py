"""Reads and writes notices: the messages that tell an account what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from countersign.domain.delivery.notice import Notice
from countersign.domain.shared import identifier
from countersign.store.engine.database import Change, Insert, Seek, Sql
from countersign.store.tables.row_mapper import RowMapper
from countersign.store.tables.schema import NOTICES

ROWS: Final = RowMapper(NOTICES, Notice, columns={"to": "recipient", "to_kind": "recipient_kind"})
from_row: Final = ROWS.from_row


async def find(notice_id: str) -> Notice | None:
    """Return a notice, or None."""
    rows = await Sql(f"SELECT {NOTICES.names} FROM notices WHERE id = $1", (notice_id,))
    return from_row(rows[0]) if rows else None


async def find_by_ids(ids: Sequence[str]) -> dict[str, Notice]:
    """Return the notices with these ids, by id."""
    rows = (await Seek(NOTICES, "id", sorted(set(ids)))) if ids else ()
    return {row[0]: from_row(row) for row in rows}


def insert(notices: Sequence[Notice]) -> tuple[Change, ...]:
    """Return the change that inserts notices; insert their deliveries in the same write."""
    return (Insert(NOTICES, [ROWS.to_row(notice) for notice in notices]),) if notices else ()


async def delete_before(before: int, limit: int) -> int:
    """Delete at most `limit` notices made before `before` (ms), with their deliveries and attempts; return how many were deleted."""
    first_kept = identifier.make("ntc", before, bytes(identifier.RANDOM_BYTES))
    rows = await Sql("SELECT id FROM notices WHERE id < $1 ORDER BY id LIMIT $2", (first_kept, limit))
    for (id_,) in rows:
        await Sql("DELETE FROM attempts WHERE owner = $1", (id_,))
        await Sql("DELETE FROM deliveries WHERE owner = $1", (id_,))
        await Sql("DELETE FROM notices WHERE id = $1", (id_,))
    return len(rows)
