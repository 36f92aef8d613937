"""Declares which columns hold sealed values or keyed hashes, so that all of them can be renewed when keys change.

A test walks every column of bytes in the schema and fails for one that is not declared here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec

from countersign.store.engine.database import Change, Insert, Row, Rows, Sql, Table, Take, Update, Write
from countersign.store.tables.event_schema import EVENT_SEGMENTS, EVENTS, WRITERS
from countersign.store.tables.schema import (
    ACCOUNTS,
    ACTIVITY,
    ANSWERS,
    APPLICATIONS,
    CHALLENGES,
    CHANGES,
    CONTACTS,
    CREDENTIALS,
    DEVICES,
    FACTORS,
    FACTS,
    GRANTS,
    IDENTIFIERS,
    LIMITS,
    NOTICES,
    PUSHED_REQUESTS,
    SESSIONS,
    SINGLE_USES,
    STANDINGS,
    SUPPRESSIONS,
    TOKENS,
    VISITS,
)

Column: TypeAlias = tuple[Table, str]


class SealedColumn(msgspec.Struct, frozen=True):
    """A column of sealed values; `bound_by` is the column to whose value (in hexadecimal if it is bytes) each is bound."""

    table: Table
    column: str
    bound_by: str = "id"


class HashedColumn(msgspec.Struct, frozen=True):
    """A column of keyed hashes.

    - `searched` is False for one by which no row is looked up.
    - `scope` is the column that an index has before this one; rows are looked up by both.
    - `only` is (column, value): the rows in which this column is a keyed hash; None for all.
    """

    table: Table
    column: str
    searched: bool = True
    scope: str = ""
    only: tuple[str, str] | None = None

    def holds_hash(self, row: Row) -> bool:
        """Say whether the column of this row is a keyed hash."""
        return self.only is None or row[position(self.table, self.only[0])] == self.only[1]


SEALED_COLUMNS: Final = (
    SealedColumn(ACCOUNTS, "name"),
    SealedColumn(ACCOUNTS, "password"),
    SealedColumn(CONTACTS, "address"),
    SealedColumn(VISITS, "data", bound_by="mark"),
    SealedColumn(NOTICES, "recipient"),
    SealedColumn(NOTICES, "about"),
    SealedColumn(GRANTS, "data", bound_by="key"),
    SealedColumn(PUSHED_REQUESTS, "data", bound_by="key"),
    SealedColumn(CHANGES, "data"),
    SealedColumn(FACTORS, "secret"),
    SealedColumn(FACTORS, "name"),
    SealedColumn(CREDENTIALS, "name"),
)

NESTED_COLUMNS: Final[tuple[Column, ...]] = ((CHALLENGES, "terms"), (ANSWERS, "outcome"))
"""Columns with encoded values in which a sealed contact is one field."""

HASHED_COLUMNS: Final = (
    # Identifiers come first: while they are renewed, nothing else of an account is.
    HashedColumn(IDENTIFIERS, "blind"),
    HashedColumn(CONTACTS, "blind"),
    HashedColumn(CHANGES, "blind"),
    HashedColumn(ACTIVITY, "recipient"),
    HashedColumn(STANDINGS, "key"),
    HashedColumn(CHALLENGES, "twin"),
    HashedColumn(CHALLENGES, "standing", searched=False),
    HashedColumn(LIMITS, "key"),
    HashedColumn(ANSWERS, "key", scope="application"),
    HashedColumn(ANSWERS, "request", searched=False),
    HashedColumn(APPLICATIONS, "key_hash"),
    HashedColumn(APPLICATIONS, "old_key_hash"),
    HashedColumn(DEVICES, "mark", scope="account"),
    HashedColumn(SESSIONS, "mark"),
    HashedColumn(SESSIONS, "device", scope="account"),
    HashedColumn(VISITS, "mark"),
    HashedColumn(GRANTS, "key"),
    HashedColumn(PUSHED_REQUESTS, "key"),
    HashedColumn(SINGLE_USES, "key"),
    HashedColumn(TOKENS, "key"),
    HashedColumn(TOKENS, "grant_key"),
    HashedColumn(FACTORS, "mark", only=("kind", "recovery_code")),
    HashedColumn(CREDENTIALS, "key"),
    HashedColumn(SUPPRESSIONS, "key"),
)

OTHER_BYTES: Final[tuple[Column, ...]] = (
    (EVENTS, "hash"),
    (EVENT_SEGMENTS, "hash"),
    (WRITERS, "hash"),
    (WRITERS, "mac"),
    (FACTS, "value"),
)
"""Columns of bytes that no key change rewrites. Pages of the event log stay as they were linked, and a checkpoint holds them."""

CONTACT_TABLES: Final = frozenset({IDENTIFIERS.name, CONTACTS.name, CHANGES.name})
"""Tables that are searched by the blind index of a contact. Of one contact, all three are renewed together."""

PROTECTED_TABLES: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        *(one.table for one in HASHED_COLUMNS),
        *(one.table for one in SEALED_COLUMNS),
        *(table for table, _ in NESTED_COLUMNS),
    )
}
"""Every table with such a column, by name, in the order in which they are renewed."""

HASHED_OF: Final[dict[str, tuple[HashedColumn, ...]]] = {
    name: tuple(one for one in HASHED_COLUMNS if one.table.name == name) for name in PROTECTED_TABLES
}
SEALED_OF: Final[dict[str, tuple[SealedColumn, ...]]] = {
    name: tuple(one for one in SEALED_COLUMNS if one.table.name == name) for name in PROTECTED_TABLES
}


def position(table: Table, column: str) -> int:
    """Return the position of a column in a row of its table."""
    return [name for name, _ in table.columns].index(column)


async def list_page(table: Table, after: Row | None, limit: int) -> Rows:
    """Return at most `limit` whole rows of a table in the order of their keys, from the one after the key `after` on."""
    names = ", ".join(name for name, _ in table.key)
    if after is None:
        return await Sql(f"SELECT {table.names} FROM {table.name} ORDER BY {names} LIMIT $1", (limit,))
    marks = ", ".join(f"${n}" for n in range(1, len(after) + 1))
    return await Sql(
        f"SELECT {table.names} FROM {table.name} WHERE ({names}) > ({marks}) ORDER BY {names} LIMIT ${len(after) + 1}",
        (*after, limit),
    )


async def replace_rows(table: Table, pairs: Sequence[tuple[Row, Row]]) -> int:
    """Replace rows (before, after) by the columns that differ, each only if these are still what they were; return how many it were.

    A row whose new key is taken already was written anew by somebody else: the earlier one is deleted. Raises ConflictError if a unique
    index refuses one of them.
    """
    width = len(table.key)
    wanted = {tuple(before[:width]): (tuple(before), tuple(after)) for before, after in pairs}
    staying: dict[tuple[int, ...], list[Row]] = {}
    moving: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    if not pairs:
        return 0
    for current in await Take(table, sorted(wanted)):
        before, after = wanted[tuple(current[:width])]
        changed = tuple(n for n in range(len(before)) if before[n] != after[n])
        if any(current[n] != before[n] for n in changed):
            continue
        if changed and changed[0] < width:
            moving[before[:width]] = tuple(after[n] if n in changed else value for n, value in enumerate(current))
        elif changed:
            staying.setdefault(changed, []).append((*before[:width], *(after[n] for n in changed)))
    changes: list[Change] = [Update(_narrowed(table, changed), rows) for changed, rows in staying.items()]
    if moving:
        new_keys = sorted({row[:width] for row in moving.values()})
        taken = {tuple(row[:width]) for row in await Take(table, new_keys)}
        await _delete_rows(table, list(moving))
        if inserted := [row for row in moving.values() if tuple(row[:width]) not in taken]:
            changes.append(Insert(table, inserted))
    if changes:
        await Write(tuple(changes), last=True)
    return len(moving) + sum(map(len, staying.values()))


async def replace_row(table: Table, before: Row, after: Row) -> bool:
    """Replace one row as `replace_rows` does, but leave it where it is if its new key is taken; return whether it was replaced."""
    width = len(table.key)
    if tuple(before[:width]) != tuple(after[:width]) and await Take(table, [tuple(after[:width])]):
        return False
    return bool(await replace_rows(table, [(before, after)]))


async def delete_row(table: Table, row: Row) -> None:
    """Delete a row by its key."""
    await _delete_rows(table, [tuple(row[: len(table.key)])])


async def count_sealed(column: SealedColumn, kid: str) -> int:
    """Return how many values of a column are sealed with a key."""
    head = kid.encode() + b"."
    rows = await Sql(
        f"SELECT count(*) FROM {column.table.name} WHERE substr({column.column}, 1, {len(head)}) = $1", (head,)
    )
    count: int = rows[0][0]
    return count


async def _delete_rows(table: Table, keys: Sequence[Row]) -> None:
    names = [name for name, _ in table.key]
    places = iter(range(1, len(keys) * len(names) + 1))
    conditions = [" AND ".join(f"{name} = ${next(places)}" for name in names) for _ in keys]
    await Sql(
        f"DELETE FROM {table.name} WHERE {' OR '.join(f'({one})' for one in conditions)}",
        tuple(value for key in keys for value in key),
    )


def _narrowed(table: Table, places: tuple[int, ...]) -> Table:
    """Return the table with these of its columns as those that an Update sets."""
    return Table(table.name, table.key, (), tuple(table.columns[place] for place in places))
