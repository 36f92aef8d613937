"""Whole batches as single PostgreSQL statements: a Take is one SELECT by arrays of keys, a Write one chain of changing CTEs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from countersign.store.engine.database import Change, Claim, ColumnKind, Insert, Row, Rows, Seek, Table, Update, Upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

_ARRAY: Final[dict[ColumnKind, str]] = {"text": "text[]", "int": "bigint[]", "bytes": "bytea[]"}

Columns = tuple[tuple[str, ColumnKind], ...]
Shape = tuple[tuple[type[Change], Table], ...]


def take(table: Table, *, locked: bool = True) -> str:
    """Return the SELECT of whole rows by key; its arguments are one array for each column of the key.

    ORDER BY stands below the locking in the plan, so rows are locked in the order of their keys.
    """
    order = ", ".join(f"t.{name}" for name, _ in table.key)
    columns = ", ".join(f"t.{name}" for name, _ in table.columns)
    lock = " FOR UPDATE OF t" if locked else ""
    if len(table.key) == 1:
        (name, kind), *_ = table.key
        return (
            f"SELECT {columns} FROM {table.name} t WHERE t.{name} = ANY($1::text::{_ARRAY[kind]})"
            f" ORDER BY {order}{lock}"
        )
    return (
        f"SELECT {columns} FROM {_unnest(table.key, 1)} JOIN {table.name} t ON {_same_key(table)}"
        f" ORDER BY {order}{lock}"
    )


def key_arrays(table: Table, keys: Rows) -> list[str]:
    """Return the arguments of `take`: one array for each column of the key."""
    return [array(kind, values) for (_, kind), values in zip(table.key, zip(*keys, strict=True), strict=True)]


def seek(statement: Seek) -> tuple[str, str]:
    """Return the SELECT of whole rows by a column, and its one argument."""
    table = statement.table
    kind = dict(table.columns)[statement.by]
    condition = f" AND {statement.condition}" if statement.condition else ""
    sql = f"SELECT {table.names} FROM {table.name} WHERE {statement.by} = ANY($1::text::{_ARRAY[kind]}){condition}"
    return sql, array(kind, statement.values)


def claim(statement: Claim) -> str:
    """Return the SELECT that locks whole rows and passes over those that others hold."""
    table = statement.table
    return (
        f"SELECT {table.names} FROM {table.name} WHERE {statement.condition}"
        f" ORDER BY {statement.by} LIMIT {statement.most} FOR UPDATE SKIP LOCKED"
    )


def look(table: Table) -> str:
    """Return the SELECT of whole rows by key, not locked, each followed by its version; its arguments are those of `take`.

    The version is the id of the transaction that wrote the row as it is (xmin; manual, 5.5).
    """
    return take(table).removesuffix(" FOR UPDATE OF t").replace(" FROM ", ", t.xmin::text FROM ", 1)


def guarded_write(changes: Sequence[Change]) -> str:
    """Return the statement of `write` that fails as a whole (division by zero) unless every row it updates is of the version given.

    Each update has one more argument, the array of versions, and the last argument of all is how many rows are updated.
    """
    parts: list[str] = []
    argument = 1
    counted: list[str] = []
    for n, change in enumerate(changes, 1):
        columns = _columns(change)
        if isinstance(change, Update):
            columns = (*columns, ("version", "text"))
            counted.append(f"(SELECT count(*) FROM part{n})")
        part = _part(change, columns, argument)
        if isinstance(change, Update):
            part += " AND t.xmin = r.version::xid RETURNING 1"
        parts.append(part)
        argument += len(columns)
    ctes = ", ".join(f"part{n} AS ({part})" for n, part in enumerate(parts, 1))
    return f"WITH {ctes} SELECT 1 / ({' + '.join(counted) or '0'} = ${argument}::bigint)::int"


def write(changes: Sequence[Change]) -> str:
    """Return the one statement that carries out changes of these shapes; its arguments are one array for each column."""
    parts: list[str] = []
    argument = 1
    for change in changes:
        columns = _columns(change)
        parts.append(_part(change, columns, argument))
        argument += len(columns)
    *chained, last = parts
    if not chained:
        return last
    ctes = ", ".join(f"part{n} AS ({part})" for n, part in enumerate(chained, 1))
    return f"WITH {ctes} {last}"


def arguments(changes: Sequence[Change]) -> list[str]:
    """Return the arrays of a write: the rows of each change, turned on their side."""
    arrays: list[str] = []
    for change in changes:
        for (_, kind), values in zip(_columns(change), zip(*change.rows, strict=True), strict=True):
            arrays.append(array(kind, values))
    return arrays


def array(kind: ColumnKind, values: Sequence[Any]) -> str:
    """Return values as PostgreSQL writes an array in text (manual, 8.15.2): for the driver one string instead of many values.

    Measured: a third of the driver's time for arrays of values, and less of the server's.
    """
    if kind == "int":
        return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"
    if kind == "bytes":
        return "{" + ",".join(["NULL" if value is None else f'"\\\\x{value.hex()}"' for value in values]) + "}"
    return "{" + ",".join([_quoted(value) for value in values]) + "}"


def _quoted(value: str | None) -> str:
    if value is None:
        return "NULL"
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


def shape(changes: Sequence[Change]) -> Shape:
    """Return what a statement of `write` depends on."""
    return tuple([(type(change), change.table) for change in changes])


def divided(change: Upsert, found: frozenset[Row] | set[Row]) -> list[Change]:
    """Return an upsert as plain changes, for a transaction that took the table's rows and found these keys.

    What was found is locked and so can be updated; what was absent must still be absent. Had somebody else written it in
    the meantime, replacing it would lose their update: as a plain insert it fails, and the transaction is tried again.
    """
    table = change.table
    keys = len(table.key)
    moving = keys + len(table.fixed)
    new: list[Row] = []
    old: list[Row] = []
    for row in change.rows:
        if tuple(row[:keys]) in found:
            old.append((*row[:keys], *row[moving:]))
        else:
            new.append(row)
    parts: list[Change] = []
    if new:
        parts.append(Insert(table, new))
    if old and table.moving:
        parts.append(Update(table, old))
    return parts


def by_key(rows: Rows, keys: int) -> Rows:
    """Return rows in the order of their keys: two transactions that insert the same keys then wait in turn, never in a ring."""
    if keys == 1:
        return sorted(rows, key=_first)
    return sorted(rows, key=lambda row: tuple(row[:keys]))


def _first(row: Row) -> Any:  # noqa: ANN401 - a column of any kind
    return row[0]


def _columns(change: Change) -> Columns:
    table = change.table
    return table.key + table.moving if isinstance(change, Update) else table.columns


def _unnest(columns: Columns, argument: int) -> str:
    arrays = ", ".join(f"${argument + n}::text::{_ARRAY[kind]}" for n, (_, kind) in enumerate(columns))
    return f"unnest({arrays}) AS r({', '.join(name for name, _ in columns)})"


def _same_key(table: Table) -> str:
    return " AND ".join(f"t.{name} = r.{name}" for name, _ in table.key)


def _part(change: Change, columns: Columns, argument: int) -> str:
    table = change.table
    rows = _unnest(columns, argument)
    if isinstance(change, Update):
        assignments = ", ".join(f"{name} = r.{name}" for name, _ in table.moving)
        return f"UPDATE {table.name} t SET {assignments} FROM {rows} WHERE {_same_key(table)}"
    insert = f"INSERT INTO {table.name} ({table.names}) SELECT * FROM {rows}"
    if isinstance(change, Insert):
        return insert
    key = ", ".join(name for name, _ in table.key)
    replaced = ", ".join(f"{name} = excluded.{name}" for name, _ in table.moving)
    return f"{insert} ON CONFLICT ({key}) DO {f'UPDATE SET {replaced}' if replaced else 'NOTHING'}"
