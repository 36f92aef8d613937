"""Lets an application have the hash by which Android passes an SMS to its app."""

from __future__ import annotations

from typing import Final

from countersign.store.migrations.ddl import add_column, text

revision: Final = "0005"
down_revision: Final = "0004"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Add the column. Applications that exist have no app."""
    add_column("applications", text("app_hash", default=""))
