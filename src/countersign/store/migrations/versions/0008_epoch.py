"""Adds the epoch of accounts, that of the proofs of each session, and that in which each change was requested."""

from __future__ import annotations

from typing import Final

from countersign.store.migrations.ddl import add_column, integer

revision: Final = "0008"
down_revision: Final = "0007"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Add them. Every account begins in epoch 0, and so does what is under way."""
    add_column("accounts", integer("epoch", default="0"))
    add_column("sessions", integer("epoch", default="0"))
    add_column("changes", integer("epoch", default="0"))
