"""Lets a recovery code remember that its user has not kept it yet."""

from __future__ import annotations

from typing import Final

from countersign.store.migrations.ddl import add_column, integer

revision: Final = "0013"
down_revision: Final = "0012"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Add the column. Codes that exist, and those that the release before makes, count as kept."""
    add_column("factors", integer("unkept", default="0"))
