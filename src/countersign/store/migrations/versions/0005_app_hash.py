"""Let an application have the hash by which Android hands an SMS to its app.

Made like the columns of 0002; see 0001 for collation.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0005"
down_revision: Final = "0004"
branch_labels: Final = None
depends_on: Final = None

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the column; applications that there are have no app."""
    op.add_column("applications", sa.Column("app_hash", Text, nullable=False, server_default=""))
