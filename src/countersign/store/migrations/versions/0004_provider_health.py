"""Creates the tables of provider health, and lets deliveries have the region they go to and the time their conversion was counted."""

from __future__ import annotations

from typing import Final

from alembic import op

from countersign.store.migrations.ddl import add_column, create_index, create_table, integer, text

revision: Final = "0004"
down_revision: Final = "0003"
branch_labels: Final = None
depends_on: Final = None

in_batches: Final = {"UPDATE deliveries SET settled_at = changed_at": "settled_at IS NULL"}


def upgrade() -> None:
    """Create them. Deliveries that exist belong to no region, and count as counted."""
    add_column("deliveries", text("country", default=""))
    add_column("deliveries", text("prefix", default=""))
    add_column("deliveries", integer("settled_at", null=True))
    op.execute("UPDATE deliveries SET settled_at = changed_at")
    create_index("deliveries", "created_at", where="settled_at IS NULL")
    create_table("paces", text("provider"), text("channel"), text("country"), text("figures"), integer("changed_at"),
        key=("provider", "channel", "country"))  # fmt: skip
    create_table("breakers", text("provider"), integer("failures"), integer("trips"), integer("until", null=True), integer("probing"),
        text("reason"), integer("changed_at"), key=("provider",))  # fmt: skip
