"""Puts the pages of the event log in one order, and lets its months be sealed and dropped."""

from __future__ import annotations

from typing import Final

from countersign.store.migrations.ddl import binary, create_table, integer, text

revision: Final = "0016"
down_revision: Final = "0015"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Add the tables, empty. The upkeep puts the pages that exist in order, from the oldest on, in the background."""
    create_table(
        "event_segments",
        integer("number"),
        text("month"),
        integer("at"),
        integer("count"),
        text("ranges"),
        binary("hash"),
        key=("number",),
    )
    create_table("event_positions", text("writer"), integer("seq"), integer("sealed"), key=("writer",))
    create_table(
        "event_seals",
        integer("number"),
        text("kind"),
        text("month"),
        integer("segment"),
        integer("at"),
        text("signed"),
        key=("number",),
    )
