"""Suppressions as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from countersign.domain.delivery.delivery import Reason
from countersign.domain.delivery.suppression import Suppression
from countersign.store.engine.database import Change, Row, Seek, Sql, Take, Upsert
from countersign.store.tables.schema import SUPPRESSIONS

_SELECT: Final = f"SELECT {SUPPRESSIONS.names} FROM suppressions"


async def find(key: bytes) -> Suppression | None:
    """Return what stands or stood of an address, or None."""
    rows = await Sql(f"{_SELECT} WHERE key = $1", (key,))
    return from_row(rows[0]) if rows else None


async def lock(key: bytes) -> Suppression | None:
    """Return what stands or stood of an address, which nobody else changes until the transaction ends."""
    rows = await Take(SUPPRESSIONS, [(key,)])
    return from_row(rows[0]) if rows else None


async def find_by_keys(keys: Sequence[bytes]) -> dict[bytes, Suppression]:
    """Return what is known of several addresses."""
    rows = (await Seek(SUPPRESSIONS, "key", sorted(set(keys)))) if keys else ()
    return {bytes(row[0]): from_row(row) for row in rows}


async def list_active(now: int, most: int) -> list[Suppression]:
    """Return those that stand, the newest first."""
    rows = await Sql(
        f"{_SELECT} WHERE until > $1 AND lifted_at IS NULL ORDER BY at DESC, key LIMIT $2",
        (now, most),
    )
    return [from_row(row) for row in rows]


def upsert(suppression: Suppression) -> tuple[Change, ...]:
    """Return the change that writes one; a Take comes before it in the same transaction."""
    return (Upsert(SUPPRESSIONS, [_row(suppression)]),)


async def delete_ended(before: int, most: int) -> int:
    """Delete those that ended before `before` (ms); return how many went."""
    rows = await Sql("SELECT key FROM suppressions WHERE until < $1 ORDER BY until LIMIT $2", (before, most))
    for (key,) in rows:
        await Sql("DELETE FROM suppressions WHERE key = $1", (key,))
    return len(rows)


def from_row(row: Row) -> Suppression:
    """Return the suppression that a whole row holds."""
    key, masked, reason, provider, at, until, lifted_at = row
    return Suppression(bytes(key), masked, Reason(reason), provider, at, until, lifted_at)


def _row(one: Suppression) -> Row:
    return (one.key, one.masked, one.reason.value, one.provider, one.at, one.until, one.lifted_at)
