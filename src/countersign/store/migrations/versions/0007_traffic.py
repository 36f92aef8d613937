"""Creates the tables by which SMS pumping is judged: messages by place and time, and the places that are blocked."""

from __future__ import annotations

from typing import Final

from countersign.store.migrations.ddl import create_index, create_table, integer, text

revision: Final = "0007"
down_revision: Final = "0006"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Create them, empty."""
    create_table("traffic", text("application"), text("place"), integer("at"), integer("sent"), integer("spent"), integer("converted"),
        key=("application", "place", "at"))  # fmt: skip
    create_index("traffic", "at")
    create_table("blocks", text("application"), text("place"), integer("since"), text("scope"), text("prefix"), text("country"),
        text("rule"), text("figures"), integer("times"), integer("shadow"), integer("until"), integer("lifted_at", null=True),
        key=("application", "place", "since"))  # fmt: skip
