"""Reads and writes the activity of accounts: what happened to each, for its owner to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from countersign.domain.shared.activity import Activity
from countersign.domain.shared.event import EventKind
from countersign.store.engine.database import Change, Insert, Sql
from countersign.store.tables.deletion import delete_rows
from countersign.store.tables.row_mapper import RowMapper, json_conversion
from countersign.store.tables.schema import ACTIVITY

ROWS: Final = RowMapper(
    ACTIVITY, Activity, conversions={"facts": json_conversion(dict[str, str], "text", sort_keys=True)}
)

_KIND: Final = [name for name, _ in ACTIVITY.columns].index("kind")
_KNOWN_KINDS: Final = frozenset(kind.value for kind in EventKind)


async def list_newest(account: str, limit: int, *, messages: bool) -> list[Activity]:
    """Return the newest activities of an account, newest first: those of messages alone, or all others.

    Entries of a kind that only a newer release knows are left out: two releases work on one database while an update is under way.
    """
    rows = await Sql(
        f"SELECT {ACTIVITY.names} FROM activity WHERE account = $1 AND kind {'=' if messages else '<>'} $2"
        " ORDER BY id DESC LIMIT $3",
        (account, EventKind.MESSAGE_SENT.value, limit),
    )
    return [ROWS.from_row(row) for row in rows if row[_KIND] in _KNOWN_KINDS]


def insert(activities: Sequence[Activity]) -> tuple[Change, ...]:
    """Return the change that inserts activities."""
    return (Insert(ACTIVITY, [ROWS.to_row(activity) for activity in activities]),) if activities else ()


async def list_all(account: str) -> list[Activity]:
    """Return all activities of an account, oldest first, messages too; those of a kind that only a newer release knows are left out."""
    rows = await Sql(f"SELECT {ACTIVITY.names} FROM activity WHERE account = $1 ORDER BY id", (account,))
    return [ROWS.from_row(row) for row in rows if row[_KIND] in _KNOWN_KINDS]


async def list_messages(account: str) -> list[str]:
    """Return the ids of the challenges and notices whose messages an account was sent."""
    return [one.facts["message"] for one in await list_all(account) if one.kind is EventKind.MESSAGE_SENT]


async def take_over(recipient: bytes, account: str) -> None:
    """Give an account the messages that were sent to a contact while it had no account; `recipient` is its blind index.

    Messages of another account that had the contact stay where they are.
    """
    await Sql("UPDATE activity SET account = $1 WHERE account = '' AND recipient = $2", (account, recipient))


async def delete_before(before: int, limit: int) -> int:
    """Delete at most `limit` activities that are older than `before` (ms); return how many were deleted."""
    return await delete_rows(ACTIVITY, "at < $1", (before,), order_by="at", limit=limit)
