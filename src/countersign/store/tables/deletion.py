"""Deletes rows that are no longer needed: each transaction deletes a bounded number with one statement, and passes over locked rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from countersign.store.engine.database import Sql, Table

SLICE: Final = 5_000
"""How many rows one step of a walk looks at."""

FIRST_KEY: Final = b""
LAST_KEY: Final = b"\xff" * 65
"""Keys before and after every keyed hash."""


async def delete_rows(table: Table, condition: str, args: tuple[Any, ...], *, order_by: str, limit: int) -> int:
    """Delete the first `limit` rows for which `condition` (our SQL, with `$1`...) holds; return how many were deleted.

    Rows that others have locked are left for the next time.
    """
    key = ", ".join(name for name, _ in table.key)
    rows = await Sql(
        # Materialized: else the planner may run the part with LIMIT more than once, and delete more.
        f"WITH doomed AS MATERIALIZED (SELECT {key} FROM {table.name} WHERE {condition} ORDER BY {order_by}"
        f" LIMIT ${len(args) + 1} FOR UPDATE SKIP LOCKED)"
        f" DELETE FROM {table.name} WHERE ({key}) IN (SELECT {key} FROM doomed) RETURNING 1",
        (*args, limit),
    )
    return len(rows)


async def delete_owners(table: Table, ids: Sequence[str]) -> None:
    """Delete challenges or notices by id, with their deliveries and attempts. The caller has locked them."""
    if not ids:
        return
    count = 1
    while count < len(ids):
        count *= 4  # few different statements
    values = (*ids, *[ids[-1]] * (count - len(ids)))
    marks = ", ".join(f"${n}" for n in range(1, count + 1))
    for name, column in (("attempts", "owner"), ("deliveries", "owner"), (table.name, "id")):
        await Sql(f"DELETE FROM {name} WHERE {column} IN ({marks})", values)


async def delete_slice(table: Table, condition: str, args: tuple[Any, ...], after: bytes, until: bytes) -> bytes:
    """Look at the next SLICE rows after the key `after`, up to the key `until`, and delete those for which `condition` holds.

    Return the last key that was looked at. For tables with a key of one keyed hash, in which no index would find what is to go: an index
    on a counter would cost every request more than the walk costs the sweep.
    """
    (key, _), *_ = table.key
    rows = await Sql(
        f"SELECT {key} FROM {table.name} WHERE {key} > $1 AND {key} <= $2 ORDER BY {key} LIMIT 1 OFFSET {SLICE - 1}",
        (after, until),
    )
    last = bytes(rows[0][0]) if rows else until
    bounds = f"{key} > ${len(args) + 1} AND {key} <= ${len(args) + 2}"
    await Sql(
        f"WITH doomed AS MATERIALIZED (SELECT {key} FROM {table.name} WHERE {bounds} AND {condition} ORDER BY {key}"
        f" FOR UPDATE SKIP LOCKED) DELETE FROM {table.name} WHERE {key} IN (SELECT {key} FROM doomed)",
        (*args, after, last),
    )
    return last
