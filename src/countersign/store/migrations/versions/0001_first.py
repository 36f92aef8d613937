"""Make every table: challenges and what is owed for them, limits, the event log, applications.

Text is compared byte by byte on both databases (`COLLATE "C"` on PostgreSQL, where that is also what makes an index of ids quick).
Tables whose rows change often keep room on their pages, so that a change touches no index (PostgreSQL's HOT updates).
SQLite's tables are STRICT, so a value of the wrong kind is refused there as it is on PostgreSQL, and those with short rows
are kept in the order of their key.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None
branch_labels: Final = None
depends_on: Final = None

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Int = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Bytes = sa.LargeBinary()


def _table(
    name: str, *columns: sa.Column[Any], key: tuple[str, ...], often: bool = False, in_key_order: bool = False
) -> None:
    op.create_table(
        name,
        *columns,
        sa.PrimaryKeyConstraint(*key, name=f"{name}_pkey"),
        sqlite_strict=True,
        sqlite_with_rowid=not in_key_order,
        postgresql_with={"fillfactor": 85} if often else {},
    )


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, Text, nullable=null)


def _int(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, Int, nullable=null, autoincrement=False)


def _bytes(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, Bytes, nullable=null)


def _index(table: str, *columns: str, where: str = "", unique: bool = False) -> None:
    condition = sa.text(where) if where else None
    op.create_index(
        f"{table}_{'_'.join(columns)}",
        table,
        list(columns),
        unique=unique,
        postgresql_where=condition,
        sqlite_where=condition,
    )


def upgrade() -> None:
    """Make the tables and their indexes."""
    _challenges()
    _deliveries()
    _counters()
    _answers()
    _events()
    _applications()


def _challenges() -> None:
    _table(
        "challenges",
        _text("id"),
        _text("application"),
        _bytes("twin"),
        _bytes("standing"),
        _bytes("terms"),
        _int("begun_at"),
        _int("expires_at"),
        _text("state"),
        _text("channel"),
        _int("guesses"),
        _int("sends"),
        _int("round"),
        _int("sent_at"),
        _int("ended_at", null=True),
        key=("id",),
        often=True,
    )
    _index("challenges", "twin", where="state = 'pending'", unique=True)
    # Told by another column than the twins' index: while the table is empty, both would look as good for finding twins.
    _index("challenges", "expires_at", where="ended_at IS NULL")


def _deliveries() -> None:
    _table(
        "deliveries",
        _text("owner"),
        _int("number"),
        _text("channel"),
        _text("route"),
        _int("created_at"),
        _int("round"),
        _text("state"),
        _int("leg"),
        _int("tries"),
        _int("attempts"),
        _int("due_at", null=True),
        _text("reason", null=True),
        _int("changed_at"),
        key=("owner", "number"),
        often=True,
    )
    _index("deliveries", "due_at", where="due_at IS NOT NULL")
    _table(
        "attempts",
        _text("owner"),
        _int("number"),
        _int("attempt"),
        _text("provider"),
        _int("started_at"),
        _int("ended_at", null=True),
        _text("outcome"),
        _text("reason", null=True),
        _text("provider_message_id"),
        key=("owner", "number", "attempt"),
    )
    _index("attempts", "provider", "provider_message_id", where="provider_message_id <> ''")


def _counters() -> None:
    _table("limits", _bytes("key"), _int("tat"), key=("key",), often=True, in_key_order=True)
    _table(
        "standings",
        _bytes("key"),
        _int("in_a_row"),
        _int("day_began_at"),
        _int("in_day"),
        key=("key",),
        often=True,
        in_key_order=True,
    )


def _answers() -> None:
    _table(
        "answers",
        _text("application"),
        _bytes("key"),
        _bytes("request"),
        _bytes("outcome"),
        _int("expires_at"),
        key=("application", "key"),
    )
    _index("answers", "expires_at")


def _events() -> None:
    _table(
        "events",
        _text("writer"),
        _int("seq"),
        _int("at"),
        _int("count"),
        _text("page"),
        _bytes("hash"),
        key=("writer", "seq"),
    )
    _index("events", "at")
    _table("writers", _text("writer"), _int("seq"), _bytes("hash"), _bytes("mac"), key=("writer",), often=True)
    _table("checkpoints", _int("number"), _int("at"), _text("signed"), key=("number",))


def _applications() -> None:
    _table(
        "applications",
        _text("id"),
        _int("created_at"),
        _text("name"),
        _text("mode"),
        _text("site"),
        _text("host"),
        _text("purposes"),
        _bytes("key_hash"),
        _bytes("old_key_hash", null=True),
        _int("old_until", null=True),
        _int("removed_at", null=True),
        key=("id",),
    )
    _index("applications", "name", where="removed_at IS NULL", unique=True)
    _index("applications", "key_hash", unique=True)
    _index("applications", "old_key_hash", where="old_key_hash IS NOT NULL", unique=True)
    _table("facts", _text("name"), _bytes("value"), key=("name",))
