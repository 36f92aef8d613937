"""Counts notices by phone beside codes, and lets a notice wait until it is gathered with others."""

from __future__ import annotations

from typing import Final

from alembic import op

from countersign.store.migrations.ddl import add_column, create_index, integer, text

revision: Final = "0009"
down_revision: Final = "0008"
branch_labels: Final = None
depends_on: Final = None

_HOUR: Final = 3_600_000
_WEEK: Final = 7 * 24 * _HOUR


def upgrade() -> None:
    """Add the columns, and count the notices of the last week, so that what is usual is known from the first day."""
    add_column("notices", integer("held_until", null=True))
    add_column("notices", text("gathered_by", default=""))
    create_index("notices", "held_until", where="held_until IS NOT NULL")
    add_column("traffic", integer("notices", default="0"))
    for place in ("prefix", "country"):
        op.execute(
            "INSERT INTO traffic (application, place, at, sent, spent, converted, notices)"
            f" SELECT 'app_own', {place}, created_at / {_HOUR} * {_HOUR}, 0, 0, 0, count(*) FROM deliveries"
            f" WHERE substr(owner, 1, 4) = 'ntc_' AND channel <> 'email' AND {place} <> '' AND attempts > 0"
            f" AND created_at > (SELECT max(created_at) FROM deliveries) - {_WEEK}"
            f" GROUP BY {place}, created_at / {_HOUR} * {_HOUR}"
            " ON CONFLICT (application, place, at) DO UPDATE SET notices = traffic.notices + excluded.notices"
        )
