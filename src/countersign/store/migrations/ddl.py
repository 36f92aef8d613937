"""Writes the tables, columns and indexes of migrations, alike on both databases.

Released revisions use these functions, so what they render must never change: a new need is a new argument, whose default renders
what was rendered before. A test compares all revisions with the SQL that was released.

Text is compared byte by byte on both databases: `COLLATE "C"` on PostgreSQL, which also makes indexes of ids fast. Tables of SQLite are
STRICT, so it refuses a value of the wrong kind as PostgreSQL does.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INT: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BYTES: Final = sa.LargeBinary()

_FILL_FACTOR: Final = 85
"""How full (per cent) pages of PostgreSQL are made; the rest is for updates that touch no index (HOT)."""


def create_table(
    name: str, *columns: sa.Column[Any], key: tuple[str, ...], often_updated: bool = False, in_key_order: bool = False
) -> None:
    """Create a table.

    `often_updated` leaves room on the pages of PostgreSQL. `in_key_order` has SQLite store the rows in the order of their key, which suits
    short rows.
    """
    op.create_table(
        name,
        *columns,
        sa.PrimaryKeyConstraint(*key, name=f"{name}_pkey"),
        sqlite_strict=True,
        sqlite_with_rowid=not in_key_order,
        postgresql_with={"fillfactor": _FILL_FACTOR} if often_updated else {},
    )


def create_index(table: str, *columns: str, where: str = "", unique: bool = False) -> None:
    """Create an index, named after its table and columns; `where` makes it a partial one."""
    condition = sa.text(where) if where else None
    op.create_index(
        f"{table}_{'_'.join(columns)}",
        table,
        list(columns),
        unique=unique,
        postgresql_where=condition,
        sqlite_where=condition,
    )


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column to a table. It is NULL in rows that exist, or has its default: the release before must be able to insert rows."""
    op.add_column(table, column)


def text(name: str, *, null: bool = False, default: str | None = None) -> sa.Column[Any]:
    """Return a column of text."""
    return sa.Column(name, _TEXT, nullable=null, server_default=default)


def integer(name: str, *, null: bool = False, default: str | None = None) -> sa.Column[Any]:
    """Return a column of integers of 64 bits."""
    return sa.Column(name, _INT, nullable=null, autoincrement=False, server_default=default)


def binary(name: str, *, null: bool = False) -> sa.Column[Any]:
    """Return a column of bytes."""
    return sa.Column(name, _BYTES, nullable=null)
