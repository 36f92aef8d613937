"""Make the table of addresses that nothing is sent to.

Made like the tables of 0001; see there for collation, room on pages and STRICT.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0006"
down_revision: Final = "0005"
branch_labels: Final = None
depends_on: Final = None

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Int = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "suppressions",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("masked", Text, nullable=False),
        sa.Column("reason", Text, nullable=False),
        sa.Column("provider", Text, nullable=False),
        sa.Column("at", Int, nullable=False, autoincrement=False),
        sa.Column("until", Int, nullable=False, autoincrement=False),
        sa.Column("lifted_at", Int, nullable=True, autoincrement=False),
        sa.PrimaryKeyConstraint("key", name="suppressions_pkey"),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_index("suppressions_until", "suppressions", ["until"])
