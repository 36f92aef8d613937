"""Deletes rows that are no longer needed, a bounded number at a time, so that no transaction of the sweep takes long."""

from __future__ import annotations

from typing import Any

from countersign.store.engine.database import Sql, Table


async def delete_rows(table: Table, condition: str, args: tuple[Any, ...], *, order_by: str, limit: int) -> int:
    """Delete the first `limit` rows for which `condition` (our SQL, with `$1`...) holds; return how many were deleted."""
    names = [name for name, _ in table.key]
    rows = await Sql(
        f"SELECT {', '.join(names)} FROM {table.name} WHERE {condition} ORDER BY {order_by} LIMIT ${len(args) + 1}",
        (*args, limit),
    )
    key = " AND ".join(f"{name} = ${n}" for n, name in enumerate(names, 1))
    for row in rows:
        await Sql(f"DELETE FROM {table.name} WHERE {key}", tuple(row))
    return len(rows)
