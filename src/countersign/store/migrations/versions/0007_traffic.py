"""Make what pumping is judged by: phone messages by place and time, and the places that are held.

Made like the tables of 0001; see there for collation, room on pages and STRICT.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0007"
down_revision: Final = "0006"
branch_labels: Final = None
depends_on: Final = None

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Int = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _table(name: str, *columns: sa.Column[Any], key: tuple[str, ...]) -> None:
    op.create_table(
        name,
        *columns,
        sa.PrimaryKeyConstraint(*key, name=f"{name}_pkey"),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, Text, nullable=False)


def _int(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, Int, nullable=null, autoincrement=False)


def upgrade() -> None:
    """Make them, empty."""
    _table("traffic", _text("application"), _text("place"), _int("at"), _int("sent"), _int("spent"), _int("converted"),
        key=("application", "place", "at"))  # fmt: skip
    op.create_index("traffic_at", "traffic", ["at"])
    _table("blocks", _text("application"), _text("place"), _int("since"), _text("scope"), _text("prefix"), _text("country"),
        _text("rule"), _text("figures"), _int("times"), _int("shadow"), _int("until"), _int("lifted_at", null=True),
        key=("application", "place", "since"))  # fmt: skip
