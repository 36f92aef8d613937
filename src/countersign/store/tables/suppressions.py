"""Reads and writes suppressions: addresses that nothing is sent to for a while."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from countersign.domain.delivery.suppression import Suppression
from countersign.store.engine.database import Change, Seek, Sql, Take, Upsert
from countersign.store.tables.deletion import delete_rows
from countersign.store.tables.row_mapper import RowMapper
from countersign.store.tables.schema import SUPPRESSIONS

ROWS: Final = RowMapper(SUPPRESSIONS, Suppression)

_SELECT: Final = f"SELECT {SUPPRESSIONS.names} FROM suppressions"


async def find(key: bytes) -> Suppression | None:
    """Return the suppression of an address, by the address's keyed hash, or None; one that is over is found too."""
    rows = await Sql(f"{_SELECT} WHERE key = $1", (key,))
    return ROWS.from_row(rows[0]) if rows else None


async def find_by_keys(keys: Sequence[bytes]) -> dict[bytes, Suppression]:
    """Return the suppressions of several addresses, by the addresses' keyed hashes; those that are over are found too."""
    rows = (await Seek(SUPPRESSIONS, "key", sorted(set(keys)))) if keys else ()
    return {row[0]: ROWS.from_row(row) for row in rows}


async def list_active(now: int, limit: int) -> list[Suppression]:
    """Return at most `limit` suppressions that are in force, newest first."""
    rows = await Sql(
        f"{_SELECT} WHERE until > $1 AND lifted_at IS NULL ORDER BY at DESC, key LIMIT $2",
        (now, limit),
    )
    return [ROWS.from_row(row) for row in rows]


async def lock(key: bytes) -> Suppression | None:
    """Return what `find` returns, locked until the transaction ends."""
    rows = await Take(SUPPRESSIONS, [(key,)])
    return ROWS.from_row(rows[0]) if rows else None


def upsert(suppression: Suppression) -> tuple[Change, ...]:
    """Return the change that writes a suppression; `lock` comes before it in the same transaction."""
    return (Upsert(SUPPRESSIONS, [ROWS.to_row(suppression)]),)


async def delete_ended(before: int, limit: int) -> int:
    """Delete at most `limit` suppressions that ended before `before` (ms); return how many were deleted."""
    return await delete_rows(SUPPRESSIONS, "until < $1", (before,), order_by="until", limit=limit)
