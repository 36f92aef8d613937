"""Ends what gives access by itself in a database that was restored, a bounded number of rows in each transaction.

Whatever could have been used up, or revoked, since the backup ends here. What people know and have, such as passwords, contacts, apps and
passkeys, stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from countersign.store.engine.database import Sql
from countersign.store.tables import lineage
from countersign.store.tables.schema import (
    CHALLENGES,
    CHANGES,
    CREDENTIALS,
    DEVICES,
    FACTORS,
    GRANTS,
    PUSHED_REQUESTS,
    SESSIONS,
    TOKENS,
    VISITS,
)

if TYPE_CHECKING:
    from countersign.store.engine.database import Row, Table

SLICE: Final = 5_000
"""Rows that one transaction looks at, so that none meets the time limit of a statement."""


class RowEnding(msgspec.Struct, frozen=True):
    """What ends in one table: the rows for which `condition` holds. `assignment` is what they become; without it they are deleted.

    `$1` is the time (ms), and `$2` the step of authenticator apps after the present one.
    """

    table: Table
    condition: str
    assignment: str = ""


ENDINGS: Final = {
    "challenges": RowEnding(CHALLENGES, "ended_at IS NULL", "state = 'canceled', ended_at = $1"),
    "login_flows": RowEnding(VISITS, "1 = 1"),
    "sessions": RowEnding(SESSIONS, "1 = 1"),
    "trusted_browsers": RowEnding(DEVICES, "trusted_at IS NOT NULL", "trusted_at = NULL"),
    "grants": RowEnding(GRANTS, "used_at IS NULL", "used_at = $1"),
    "access_tokens": RowEnding(TOKENS, "ended_at IS NULL", "ended_at = $1"),
    "pushed_requests": RowEnding(PUSHED_REQUESTS, "1 = 1"),
    "pending_changes": RowEnding(CHANGES, "state = 'pending'", "state = 'canceled', ended_at = $1, remind_at = NULL"),
    "recovery_codes": RowEnding(FACTORS, "kind = 'recovery_code' AND ended_at IS NULL", "ended_at = $1"),
    "integration_codes": RowEnding(CREDENTIALS, "ended_at IS NULL", "ended_at = $1"),
    "app_codes": RowEnding(FACTORS, "kind = 'app' AND ended_at IS NULL AND used < $2", "used = $2"),
}
"""What ends, by the name that the event log has for it."""


async def end_slice(ending: RowEnding, after: Row | None, now: int, step: int) -> tuple[int, Row | None] | None:
    """End what is among the next rows of a table, in the order of its keys, from the one after the key `after` on.

    Return how many rows ended, and the last key that was looked at, None if there are no more. Return None if another process has ended
    everything meanwhile. `now` is in ms. `step` is the time step of authenticator apps after the present one: no code that was ever shown
    is accepted again.
    """
    current = await lineage.lock()
    if current is None or not current.unfinished or current.told:
        return None
    table, key = ending.table, ", ".join(name for name, _ in ending.table.key)
    condition, arguments = _numbered(ending.condition, now, step)
    assignment, arguments = _numbered(ending.assignment, now, step, arguments)
    beyond, begun = _bound(table, ">", after, 0)
    found = await Sql(f"SELECT {key} FROM {table.name} WHERE {beyond} ORDER BY {key} LIMIT 1 OFFSET {SLICE - 1}", begun)
    last = tuple(found[0]) if found else None
    beyond, begun = _bound(table, ">", after, len(arguments))
    within, ended = _bound(table, "<=", last, len(arguments) + len(begun))
    act = f"UPDATE {table.name} SET {assignment}" if ending.assignment else f"DELETE FROM {table.name}"
    rows = await Sql(f"{act} WHERE {beyond} AND {within} AND ({condition}) RETURNING 1", (*arguments, *begun, *ended))
    return len(rows), last


def _bound(table: Table, comparison: str, key: Row | None, before: int) -> tuple[str, tuple[Any, ...]]:
    """Return the condition that bounds the keys of a table, with its parameters, numbered after those `before`."""
    if key is None:
        return "1 = 1", ()
    names = ", ".join(name for name, _ in table.key)
    marks = ", ".join(f"${before + n}" for n in range(1, len(key) + 1))
    return f"({names}) {comparison} ({marks})", tuple(key)


def _numbered(sql: str, now: int, step: int, before: tuple[int, ...] = ()) -> tuple[str, tuple[int, ...]]:
    """Return SQL with only the parameters that it has, numbered after those `before`: PostgreSQL refuses one that is never used."""
    arguments = before
    for mark, value in (("$1", now), ("$2", step)):
        if mark in sql:
            arguments = (*arguments, value)
            sql = sql.replace(mark, f"CAST(@{len(arguments)} AS bigint)")
    return sql.replace("@", "$"), arguments
