"""Counts wrong codes for a contact in the lane that they came by: of sessions and of trusted browsers apart."""

from __future__ import annotations

from typing import Final

from countersign.store.migrations.ddl import add_column, integer

revision: Final = "0010"
down_revision: Final = "0009"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Add the counts, at zero: an older program leaves them so."""
    for name in ("session_in_a_row", "session_in_day", "trusted_in_a_row"):
        add_column("standings", integer(name, default="0"))
