"""Lets people choose a time zone and delete their accounts, and finds messages by the contact that they were sent to."""

from __future__ import annotations

from typing import Final

from countersign.store.migrations.ddl import add_column, binary, create_index, integer, text

revision: Final = "0014"
down_revision: Final = "0013"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Add the columns and the indexes by which the rows of one account are found. Nothing is known yet of accounts that exist."""
    add_column("accounts", text("timezone", default=""))
    add_column("accounts", integer("deletion_at", null=True))
    add_column("accounts", text("deletion", default="{}"))
    create_index("accounts", "deletion_at", where="deletion_at IS NOT NULL")
    add_column("activity", binary("recipient", null=True))
    create_index("activity", "recipient", where="recipient IS NOT NULL")
    add_column("notices", binary("about", null=True))
    create_index("notices", "account")
    create_index("tokens", "account")
