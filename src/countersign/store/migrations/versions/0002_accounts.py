"""Make what accounts stand on: contacts, devices, sessions, flows under way, notices, and what relying parties are granted.

Made like the tables of 0001; see there for collation, room on pages and STRICT.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"
branch_labels: Final = None
depends_on: Final = None

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Int = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Bytes = sa.LargeBinary()


def _table(name: str, *columns: sa.Column[Any], key: tuple[str, ...], often: bool = False) -> None:
    op.create_table(
        name,
        *columns,
        sa.PrimaryKeyConstraint(*key, name=f"{name}_pkey"),
        sqlite_strict=True,
        sqlite_with_rowid=True,
        postgresql_with={"fillfactor": 85} if often else {},
    )


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, Text, nullable=null)


def _int(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, Int, nullable=null, autoincrement=False)


def _bytes(name: str) -> sa.Column[Any]:
    return sa.Column(name, Bytes, nullable=False)


def _index(table: str, *columns: str) -> None:
    op.create_index(f"{table}_{'_'.join(columns)}", table, list(columns))


def upgrade() -> None:
    """Make the tables, and give applications the addresses that people may be sent back to."""
    _accounts()
    _browsers()
    _notices()
    _relying_parties()


def _accounts() -> None:
    _table(
        "accounts",
        _text("id"),
        _int("created_at"),
        _bytes("name"),
        _text("locale"),
        _bytes("password"),
        _int("password_at"),
        _int("disabled_at", null=True),
        key=("id",),
    )
    _table(
        "contacts",
        _text("account"),
        _text("id"),
        _int("added_at"),
        _text("kind"),
        _bytes("blind"),
        _bytes("address"),
        _text("masked"),
        _int("proved_at", null=True),
        _int("is_primary"),
        key=("account", "id"),
    )
    _index("contacts", "blind")
    _table("identifiers", _bytes("blind"), _text("account"), _text("contact"), key=("blind",))


def _browsers() -> None:
    _table(
        "devices",
        _text("account"),
        _bytes("mark"),
        _text("id"),
        _int("created_at"),
        _text("user_agent"),
        _int("last_seen_at"),
        _text("ip"),
        _text("place"),
        _int("trusted_at", null=True),
        _int("ended_at", null=True),
        key=("account", "mark"),
    )
    _index("devices", "last_seen_at")
    _table(
        "sessions",
        _bytes("mark"),
        _text("id"),
        _text("account"),
        _bytes("device"),
        _int("created_at"),
        _text("user_agent"),
        _text("ip"),
        _text("place"),
        _text("proofs"),
        _int("last_seen_at"),
        _int("expires_at"),
        key=("mark",),
        often=True,
    )
    _index("sessions", "account")
    _index("sessions", "expires_at")
    _table("visits", _bytes("mark"), _bytes("data"), _int("expires_at"), key=("mark",))
    _index("visits", "expires_at")


def _notices() -> None:
    _table(
        "notices",
        _text("id"),
        _text("account"),
        _text("application"),
        _text("kind"),
        _bytes("recipient"),
        _text("recipient_kind"),
        _text("masked"),
        _text("locale"),
        _text("facts"),
        _int("created_at"),
        _int("expires_at"),
        key=("id",),
    )


def _relying_parties() -> None:
    op.add_column("applications", sa.Column("redirects", Text, nullable=False, server_default="[]"))
    op.add_column("applications", sa.Column("sign_outs", Text, nullable=False, server_default="[]"))
    _table(
        "grants",
        _bytes("key"),
        _bytes("data"),
        _int("created_at"),
        _int("expires_at"),
        _int("used_at", null=True),
        key=("key",),
    )
    _index("grants", "expires_at")
    _table(
        "tokens",
        _bytes("key"),
        _bytes("grant_key"),
        _text("application"),
        _text("account"),
        _text("session"),
        _text("scope"),
        _int("created_at"),
        _int("expires_at"),
        _int("ended_at", null=True),
        key=("key",),
    )
    _index("tokens", "grant_key")
    _index("tokens", "expires_at")
