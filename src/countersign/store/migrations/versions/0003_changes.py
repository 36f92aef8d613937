"""Make what an account is changed by and proved with: changes, factors, integration codes, and what happened to it.

Made like the tables of 0001; see there for collation, room on pages and STRICT.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"
branch_labels: Final = None
depends_on: Final = None

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Int = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Bytes = sa.LargeBinary()


def _table(name: str, *columns: sa.Column[Any], key: tuple[str, ...]) -> None:
    op.create_table(
        name,
        *columns,
        sa.PrimaryKeyConstraint(*key, name=f"{name}_pkey"),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, Text, nullable=False)


def _int(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, Int, nullable=null, autoincrement=False)


def _bytes(name: str) -> sa.Column[Any]:
    return sa.Column(name, Bytes, nullable=False)


def _index(table: str, *columns: str) -> None:
    op.create_index(f"{table}_{'_'.join(columns)}", table, list(columns))


def upgrade() -> None:
    """Make the tables, and let accounts be locked and contacts be removed for a while."""
    op.add_column("accounts", _int("locked_at", null=True))
    op.add_column("accounts", sa.Column("reduced_until", Int, nullable=False, server_default="0"))
    op.add_column("accounts", sa.Column("recovered_by", Text, nullable=False, server_default=""))
    op.add_column("accounts", sa.Column("checked_at", Int, nullable=False, server_default="0"))
    op.add_column("contacts", sa.Column("settled_at", Int, nullable=False, server_default="0"))
    op.add_column("contacts", _int("ended_at", null=True))
    _index("contacts", "ended_at")
    _changes()
    _proofs()
    _table("activity", _text("account"), _text("id"), _int("at"), _text("kind"), _text("facts"), key=("account", "id"))
    _index("activity", "at")


def _changes() -> None:
    _table(
        "changes",
        _text("account"),
        _text("id"),
        _text("kind"),
        _int("asked_at"),
        _text("session"),
        _bytes("blind"),
        _text("about"),
        _bytes("data"),
        _text("user_agent"),
        _text("place"),
        _text("state"),
        _int("until"),
        _int("applied_at", null=True),
        _int("ended_at", null=True),
        _int("remind_at", null=True),
        _text("effect"),
        key=("account", "id"),
    )
    _index("changes", "blind")
    _index("changes", "asked_at")
    _index("changes", "remind_at")


def _proofs() -> None:
    _table(
        "factors",
        _text("account"),
        _text("id"),
        _text("kind"),
        _int("added_at"),
        _bytes("mark"),
        _bytes("secret"),
        _bytes("name"),
        _int("used"),
        _int("last_used_at", null=True),
        _int("ended_at", null=True),
        key=("account", "id"),
    )
    _index("factors", "mark")
    _index("factors", "ended_at")
    _table(
        "credentials",
        _bytes("key"),
        _text("account"),
        _text("id"),
        _int("created_at"),
        _bytes("name"),
        _text("scopes"),
        _int("expires_at"),
        _int("last_used_at", null=True),
        _text("last_used_from"),
        _int("ended_at", null=True),
        key=("key",),
    )
    _index("credentials", "account")
    _index("credentials", "expires_at")
