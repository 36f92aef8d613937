"""Lets messages belong to their applications, so that workers share the queue among these, and lets applications be suspended."""

from __future__ import annotations

from typing import Final

from alembic import op

from countersign.store.migrations.ddl import add_column, create_index, integer, text

revision: Final = "0015"
down_revision: Final = "0014"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Add the columns and the index that workers claim by, and say of what is queued whose it is.

    What the release before writes from now on has no queue. Workers look into such messages whoever they belong to.
    """
    add_column("deliveries", text("application", default=""))
    add_column("deliveries", integer("lapses", default="0"))
    add_column("deliveries", text("queue", default=""))
    for owners in ("challenges", "notices"):
        op.execute(
            f"UPDATE deliveries SET application = (SELECT application FROM {owners} WHERE {owners}.id = deliveries.owner)"
            f" WHERE due_at IS NOT NULL AND owner IN (SELECT id FROM {owners})"
        )
    create_index("deliveries", "queue", "due_at", where="due_at IS NOT NULL")
    add_column("applications", integer("suspended_at", null=True))
