"""Lets applications have keys of their own, push their authorization requests, and use a signed assertion once."""

from __future__ import annotations

from typing import Final

from countersign.store.migrations.ddl import add_column, binary, create_index, create_table, integer, text

revision: Final = "0011"
down_revision: Final = "0010"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Add the columns and create the tables. Applications that exist have no keys, and may send requests in the query."""
    add_column("applications", text("jwks", default=""))
    add_column("applications", integer("requires_pushed", default="0"))
    create_table("pushed_requests", binary("key"), binary("data"), integer("expires_at"), key=("key",))
    create_index("pushed_requests", "expires_at")
    create_table("single_uses", binary("key"), integer("expires_at"), key=("key",))
    create_index("single_uses", "expires_at")
