"""Records what may be used once, such as the `jti` of a client's assertion, by its keyed hash, for as long as it could be used again."""

from __future__ import annotations

from countersign.store.engine.database import Sql
from countersign.store.tables import lineage
from countersign.store.tables.deletion import delete_rows
from countersign.store.tables.schema import SINGLE_USES


async def take(key: bytes, expires_at: int, issued_at: int | None = None) -> bool:
    """Record a use; return False if it was used before. `expires_at` (ms) is when it could not be used anyway.

    What was issued (`issued_at`, ms, if that is known) before the database was restored counts as used: its use may be lost.
    """
    if issued_at is not None and issued_at <= await lineage.find_restored_at():
        return False
    rows = await Sql(
        "INSERT INTO single_uses (key, expires_at) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING RETURNING key",
        (key, expires_at),
    )
    return bool(rows)


async def delete_expired(now: int, limit: int) -> int:
    """Delete at most `limit` records that have expired; return how many were deleted."""
    return await delete_rows(SINGLE_USES, "expires_at <= $1", (now,), order_by="expires_at", limit=limit)
