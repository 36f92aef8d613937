"""Make what is known of carriers: where messages go, what became of their codes, how each provider does and which are left out.

Made like the tables of 0001; see there for collation, room on pages and STRICT.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"
branch_labels: Final = None
depends_on: Final = None

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Int = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


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


def upgrade() -> None:
    """Make them; messages from before count nowhere, and their codes as counted."""
    op.add_column("deliveries", sa.Column("country", Text, nullable=False, server_default=""))
    op.add_column("deliveries", sa.Column("prefix", Text, nullable=False, server_default=""))
    op.add_column("deliveries", _int("settled_at", null=True))
    op.execute("UPDATE deliveries SET settled_at = changed_at")
    where = sa.text("settled_at IS NULL")
    op.create_index("deliveries_created_at", "deliveries", ["created_at"], postgresql_where=where, sqlite_where=where)
    _table("paces", _text("provider"), _text("channel"), _text("country"), _text("figures"), _int("changed_at"),
        key=("provider", "channel", "country"))  # fmt: skip
    _table("breakers", _text("provider"), _int("failures"), _int("trips"), _int("until", null=True), _int("probing"),
        _text("reason"), _int("changed_at"), key=("provider",))  # fmt: skip
