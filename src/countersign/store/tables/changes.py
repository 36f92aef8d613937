"""Reads and writes the changes of accounts: those that wait, those that can be undone, and those that have ended."""

from __future__ import annotations

from typing import Final

from countersign.domain.accounts.change import AccountChange, ChangeKind
from countersign.store.engine.database import Change, Insert, Sql, Update
from countersign.store.tables.deletion import delete_rows
from countersign.store.tables.row_mapper import RowMapper
from countersign.store.tables.schema import CHANGES

ROWS: Final = RowMapper(CHANGES, AccountChange, columns={"blind_index": "blind"})

_SELECT: Final = f"SELECT {CHANGES.names} FROM changes"


async def find(account: str, change_id: str) -> AccountChange | None:
    """Return a change of an account, or None."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 AND id = $2", (account, change_id))
    return ROWS.from_row(rows[0]) if rows else None


async def list_since(account: str, since: int, limit: int) -> list[AccountChange]:
    """Return the changes of an account that were requested at or after `since` (ms): at most `limit`, newest first."""
    rows = await Sql(
        f"{_SELECT} WHERE account = $1 AND asked_at >= $2 ORDER BY id DESC LIMIT $3", (account, since, limit)
    )
    return [ROWS.from_row(row) for row in rows]


async def list_open(account: str, now: int) -> list[AccountChange]:
    """Return the changes of an account that are pending or can be undone, newest first."""
    rows = await Sql(
        f"{_SELECT} WHERE account = $1 AND until > $2 AND state IN ('pending', 'applied') ORDER BY id DESC",
        (account, now),
    )
    return [ROWS.from_row(row) for row in rows]


async def list_undoable_accounts(since: int, after: str, limit: int) -> list[str]:
    """Return the ids of accounts with an applied change that could be undone at `since` (ms): at most `limit`, after the id `after`."""
    rows = await Sql(
        "SELECT DISTINCT account FROM changes WHERE state = 'applied' AND until > $1 AND account > $2 ORDER BY account LIMIT $3",
        (since, after, limit),
    )
    return [row[0] for row in rows]


async def list_pending_recoveries(blind_index: bytes, now: int) -> list[AccountChange]:
    """Return the delayed recoveries that wait for the owner of a new contact to finish them, newest first."""
    rows = await Sql(
        f"{_SELECT} WHERE blind = $1 AND kind = $2 AND state = 'pending' AND until > $3 ORDER BY id DESC",
        (blind_index, ChangeKind.ACCESS_RECOVERED.value, now),
    )
    return [ROWS.from_row(row) for row in rows]


async def list_due_reminders(now: int, limit: int) -> list[AccountChange]:
    """Return at most `limit` pending changes of which the account must be reminded."""
    rows = await Sql(f"{_SELECT} WHERE remind_at <= $1 AND state = 'pending' ORDER BY remind_at LIMIT $2", (now, limit))
    return [ROWS.from_row(row) for row in rows]


def insert(change: AccountChange) -> Change:
    """Return the row operation that inserts a change of an account."""
    return Insert(CHANGES, [ROWS.to_row(change)])


def update(change: AccountChange) -> Change:
    """Return the row operation that updates a change of an account."""
    return Update(CHANGES, [ROWS.to_update_row(change)])


async def delete_before(before: int, limit: int) -> int:
    """Delete at most `limit` changes that were requested before `before` (ms); return how many were deleted."""
    return await delete_rows(CHANGES, "asked_at < $1", (before,), order_by="asked_at", limit=limit)
