"""Creates the tables of accounts: contacts, devices, sessions, login flows, notices, authorization codes and access tokens."""

from __future__ import annotations

from typing import Final

from countersign.store.migrations.ddl import add_column, binary, create_index, create_table, integer, text

revision: Final = "0002"
down_revision: Final = "0001"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Create the tables, and let applications have the addresses that people may be sent back to."""
    _accounts()
    _browsers()
    _notices()
    _relying_parties()


def _accounts() -> None:
    create_table(
        "accounts",
        text("id"),
        integer("created_at"),
        binary("name"),
        text("locale"),
        binary("password"),
        integer("password_at"),
        integer("disabled_at", null=True),
        key=("id",),
    )
    create_table(
        "contacts",
        text("account"),
        text("id"),
        integer("added_at"),
        text("kind"),
        binary("blind"),
        binary("address"),
        text("masked"),
        integer("proved_at", null=True),
        integer("is_primary"),
        key=("account", "id"),
    )
    create_index("contacts", "blind")
    create_table("identifiers", binary("blind"), text("account"), text("contact"), key=("blind",))


def _browsers() -> None:
    create_table(
        "devices",
        text("account"),
        binary("mark"),
        text("id"),
        integer("created_at"),
        text("user_agent"),
        integer("last_seen_at"),
        text("ip"),
        text("place"),
        integer("trusted_at", null=True),
        integer("ended_at", null=True),
        key=("account", "mark"),
    )
    create_index("devices", "last_seen_at")
    create_table(
        "sessions",
        binary("mark"),
        text("id"),
        text("account"),
        binary("device"),
        integer("created_at"),
        text("user_agent"),
        text("ip"),
        text("place"),
        text("proofs"),
        integer("last_seen_at"),
        integer("expires_at"),
        key=("mark",),
        often_updated=True,
    )
    create_index("sessions", "account")
    create_index("sessions", "expires_at")
    create_table("visits", binary("mark"), binary("data"), integer("expires_at"), key=("mark",))
    create_index("visits", "expires_at")


def _notices() -> None:
    create_table(
        "notices",
        text("id"),
        text("account"),
        text("application"),
        text("kind"),
        binary("recipient"),
        text("recipient_kind"),
        text("masked"),
        text("locale"),
        text("facts"),
        integer("created_at"),
        integer("expires_at"),
        key=("id",),
    )


def _relying_parties() -> None:
    add_column("applications", text("redirects", default="[]"))
    add_column("applications", text("sign_outs", default="[]"))
    create_table(
        "grants",
        binary("key"),
        binary("data"),
        integer("created_at"),
        integer("expires_at"),
        integer("used_at", null=True),
        key=("key",),
    )
    create_index("grants", "expires_at")
    create_table(
        "tokens",
        binary("key"),
        binary("grant_key"),
        text("application"),
        text("account"),
        text("session"),
        text("scope"),
        integer("created_at"),
        integer("expires_at"),
        integer("ended_at", null=True),
        key=("key",),
    )
    create_index("tokens", "grant_key")
    create_index("tokens", "expires_at")
