"""Reads and writes applications: the programs that may ask for verifications and sign people in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from countersign.domain.shared.application import Application
from countersign.domain.shared.event import Event
from countersign.store.engine.database import Append, Insert, Seek, Sql, Take, Update, Write
from countersign.store.tables.row_mapper import RowMapper
from countersign.store.tables.schema import APPLICATIONS

ROWS: Final = RowMapper(
    APPLICATIONS, Application, columns={"redirect_uris": "redirects", "post_logout_redirect_uris": "sign_outs"}
)

_SELECT: Final = f"SELECT {APPLICATIONS.names} FROM applications"


async def find(application_id: str) -> Application | None:
    """Return an application by its id, or None. Removed ones are found too, because challenges still carry their name."""
    rows = await Sql(f"{_SELECT} WHERE id = $1", (application_id,))
    return ROWS.from_row(rows[0]) if rows else None


async def find_by_key(key_hash: bytes) -> Application | None:
    """Return the application whose present or former key has this keyed hash, or None; removed ones are not found."""
    rows = await Sql(f"{_SELECT} WHERE (key_hash = $1 OR old_key_hash = $1) AND removed_at IS NULL", (key_hash,))
    return ROWS.from_row(rows[0]) if rows else None


async def find_by_name(name: str) -> Application | None:
    """Return the application of this name, or None; removed ones are not found."""
    rows = await Sql(f"{_SELECT} WHERE name = $1 AND removed_at IS NULL", (name,))
    return ROWS.from_row(rows[0]) if rows else None


async def find_by_ids(ids: Sequence[str]) -> dict[str, Application]:
    """Return the applications with these ids, by id; removed ones are found too."""
    rows = await Seek(APPLICATIONS, "id", sorted(set(ids)))
    return {row[0]: ROWS.from_row(row) for row in rows}


async def list_names() -> set[str]:
    """Return the names of all applications. It reads nothing that a revision has changed."""
    return {row[0] for row in await Sql("SELECT name FROM applications")}


async def list_all() -> list[Application]:
    """Return every application that was not removed, in the order of their names."""
    rows = await Sql(f"{_SELECT} WHERE removed_at IS NULL ORDER BY name")
    return [ROWS.from_row(row) for row in rows]


async def count_all() -> int:
    """Return how many applications were ever added, including those that were removed."""
    rows = await Sql("SELECT count(*) FROM applications")
    count: int = rows[0][0]
    return count


async def add(application: Application, event: Event) -> None:
    """Add an application, and append the event that records it; run it with `Log.run`."""
    await Append([event])
    await Write((Insert(APPLICATIONS, [ROWS.to_row(application)]),), last=True)


async def edit(application_id: str, edited: Callable[[Application], Application], event: Event) -> Application | None:
    """Replace an application by what `edited` makes of it, and append the event that records it; run it with `Log.run`.

    Return the application as it is now. Return None, and change nothing, if it was removed meanwhile.
    """
    rows = await Take(APPLICATIONS, [(application_id,)])
    before = ROWS.from_row(rows[0]) if rows else None
    if before is None or before.removed_at is not None:
        return None
    after = edited(before)
    await Append([event])
    await Write((Update(APPLICATIONS, [ROWS.to_update_row(after)]),), last=True)
    return after
