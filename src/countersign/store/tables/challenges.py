"""Reads and deletes challenges; they are written by the ledger alone."""

from __future__ import annotations

from typing import Final

from countersign.domain.shared import identifier
from countersign.domain.verifications.challenge import MS_PER_SECOND, Challenge
from countersign.domain.verifications.purpose import MAX_LIFETIME
from countersign.errors import NotFoundError
from countersign.store.engine.database import Sql
from countersign.store.tables.deletion import delete_owners
from countersign.store.tables.row_mapper import RowMapper
from countersign.store.tables.schema import CHALLENGES

ROWS: Final = RowMapper(CHALLENGES, Challenge, columns={"dedup_key": "twin", "lockout_key": "standing"})
from_row: Final = ROWS.from_row
to_row: Final = ROWS.to_row
to_update_row: Final = ROWS.to_update_row

_SELECT: Final = f"SELECT {CHALLENGES.names} FROM challenges"


async def find(challenge_id: str) -> Challenge | None:
    """Return a challenge, or None."""
    rows = await Sql(f"{_SELECT} WHERE id = $1", (challenge_id,))
    return from_row(rows[0]) if rows else None


async def get(challenge_id: str, application: str) -> Challenge:
    """Return a challenge of an application.

    Raises NotFoundError if there is none, and alike if it belongs to another application.
    """
    found = await find(challenge_id)
    if found is None or found.application != application:
        raise NotFoundError("There is no such verification.")
    return found


async def list_overdue(now: int, limit: int) -> list[str]:
    """Return the ids of challenges that are pending although their time is over: at most `limit`, oldest first."""
    rows = await Sql(
        "SELECT id FROM challenges WHERE ended_at IS NULL AND expires_at <= $1 ORDER BY expires_at LIMIT $2",
        (now, limit),
    )
    return [row[0] for row in rows]


async def delete_ended(before: int, limit: int) -> int:
    """Delete at most `limit` challenges that ended before `before` (ms), with their deliveries and attempts.

    Return how many were deleted. No challenge lives longer than MAX_LIFETIME, and an id starts with the time at which its challenge
    began, so the oldest come first in the order of the key.
    """
    first_kept = identifier.make("ver", before - MAX_LIFETIME * MS_PER_SECOND, bytes(identifier.RANDOM_BYTES))
    rows = await Sql(
        "SELECT id FROM challenges WHERE id < $1 AND state <> 'pending' ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED",
        (first_kept, limit),
    )
    await delete_owners(CHALLENGES, [row[0] for row in rows])
    return len(rows)
