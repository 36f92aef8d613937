"""Creates the tables of changes to accounts, of authenticators, of integration codes, and of the activity of accounts."""

from __future__ import annotations

from typing import Final

from countersign.store.migrations.ddl import add_column, binary, create_index, create_table, integer, text

revision: Final = "0003"
down_revision: Final = "0002"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Create the tables, and let accounts be locked and contacts be removed until an undo is no longer possible."""
    add_column("accounts", integer("locked_at", null=True))
    add_column("accounts", integer("reduced_until", default="0"))
    add_column("accounts", text("recovered_by", default=""))
    add_column("accounts", integer("checked_at", default="0"))
    add_column("contacts", integer("settled_at", default="0"))
    add_column("contacts", integer("ended_at", null=True))
    create_index("contacts", "ended_at")
    _changes()
    _proofs()
    create_table(
        "activity", text("account"), text("id"), integer("at"), text("kind"), text("facts"), key=("account", "id")
    )
    create_index("activity", "at")


def _changes() -> None:
    create_table(
        "changes",
        text("account"),
        text("id"),
        text("kind"),
        integer("asked_at"),
        text("session"),
        binary("blind"),
        text("about"),
        binary("data"),
        text("user_agent"),
        text("place"),
        text("state"),
        integer("until"),
        integer("applied_at", null=True),
        integer("ended_at", null=True),
        integer("remind_at", null=True),
        text("effect"),
        key=("account", "id"),
    )
    create_index("changes", "blind")
    create_index("changes", "asked_at")
    create_index("changes", "remind_at")


def _proofs() -> None:
    create_table(
        "factors",
        text("account"),
        text("id"),
        text("kind"),
        integer("added_at"),
        binary("mark"),
        binary("secret"),
        binary("name"),
        integer("used"),
        integer("last_used_at", null=True),
        integer("ended_at", null=True),
        key=("account", "id"),
    )
    create_index("factors", "mark")
    create_index("factors", "ended_at")
    create_table(
        "credentials",
        binary("key"),
        text("account"),
        text("id"),
        integer("created_at"),
        binary("name"),
        text("scopes"),
        integer("expires_at"),
        integer("last_used_at", null=True),
        text("last_used_from"),
        integer("ended_at", null=True),
        key=("key",),
    )
    create_index("credentials", "account")
    create_index("credentials", "expires_at")
