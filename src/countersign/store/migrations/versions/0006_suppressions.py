"""Creates the table of suppressions: addresses that nothing is sent to."""

from __future__ import annotations

from typing import Final

from countersign.store.migrations.ddl import binary, create_index, create_table, integer, text

revision: Final = "0006"
down_revision: Final = "0005"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Create the table."""
    create_table(
        "suppressions",
        binary("key"),
        text("masked"),
        text("reason"),
        text("provider"),
        integer("at"),
        integer("until"),
        integer("lifted_at", null=True),
        key=("key",),
    )
    create_index("suppressions", "until")
