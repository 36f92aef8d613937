"""Reads and writes notices: the messages that tell an account what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from countersign.domain.delivery.notice import Notice, NoticeKind
from countersign.domain.shared import identifier
from countersign.store.engine.database import Change, Insert, Seek, Sql, Update
from countersign.store.tables.deletion import delete_owners
from countersign.store.tables.row_mapper import RowMapper
from countersign.store.tables.schema import NOTICES

ROWS: Final = RowMapper(NOTICES, Notice, columns={"to": "recipient", "to_kind": "recipient_kind"})
from_row: Final = ROWS.from_row

_KNOWN_KINDS: Final = ", ".join(f"'{kind.value}'" for kind in NoticeKind)


async def find(notice_id: str) -> Notice | None:
    """Return a notice, or None."""
    rows = await Sql(f"SELECT {NOTICES.names} FROM notices WHERE id = $1", (notice_id,))
    return from_row(rows[0]) if rows else None


async def find_by_ids(ids: Sequence[str]) -> dict[str, Notice]:
    """Return the notices with these ids, by id."""
    rows = (await Seek(NOTICES, "id", sorted(set(ids)))) if ids else ()
    return {row[0]: from_row(row) for row in rows}


async def list_accounts_with_held(now: int, limit: int) -> list[str]:
    """Return at most `limit` accounts with a notice that has waited long enough to be gathered at `now` (ms)."""
    rows = await Sql(
        f"SELECT account FROM notices WHERE held_until IS NOT NULL AND held_until <= $1 AND kind IN ({_KNOWN_KINDS})"
        " GROUP BY account ORDER BY min(held_until) LIMIT $2",
        (now, limit),
    )
    return [row[0] for row in rows]


async def list_held(account: str, limit: int) -> list[Notice]:
    """Return at most `limit` notices of an account that wait to be gathered, those that are due first.

    Lock the account before. Notices of a kind that only a newer release knows are left to that one.
    """
    rows = await Sql(
        f"SELECT {NOTICES.names} FROM notices WHERE held_until IS NOT NULL AND account = $1 AND kind IN ({_KNOWN_KINDS})"
        " ORDER BY held_until, id LIMIT $2",
        (account, limit),
    )
    return [from_row(row) for row in rows]


def update(notices: Sequence[Notice]) -> tuple[Change, ...]:
    """Return the change that updates how notices are gathered."""
    return (Update(NOTICES, [ROWS.to_update_row(notice) for notice in notices]),) if notices else ()


def insert(notices: Sequence[Notice]) -> tuple[Change, ...]:
    """Return the change that inserts notices; insert their deliveries in the same write."""
    return (Insert(NOTICES, [ROWS.to_row(notice) for notice in notices]),) if notices else ()


async def delete_before(before: int, limit: int) -> int:
    """Delete at most `limit` notices made before `before` (ms), with their deliveries and attempts; return how many were deleted.

    One that still waits to be gathered stays.
    """
    first_kept = identifier.make("ntc", before, bytes(identifier.RANDOM_BYTES))
    rows = await Sql(
        "SELECT id FROM notices WHERE id < $1 AND held_until IS NULL ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED",
        (first_kept, limit),
    )
    await delete_owners(NOTICES, [row[0] for row in rows])
    return len(rows)
