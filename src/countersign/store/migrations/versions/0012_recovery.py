"""Lets an account remember its locks, reopenings and delayed recoveries."""

from __future__ import annotations

from typing import Final

from countersign.store.migrations.ddl import add_column, text

revision: Final = "0012"
down_revision: Final = "0011"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Add the column. Nothing is remembered of accounts that exist."""
    add_column("accounts", text("recovery", default="{}"))
