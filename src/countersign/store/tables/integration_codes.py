"""Reads and writes integration codes: the access tokens that people make for their own programs."""

from __future__ import annotations

from typing import Final

from countersign.domain.accounts.integration_code import IntegrationCode
from countersign.store.engine.database import Change, Insert, Sql, Update
from countersign.store.tables.deletion import delete_rows
from countersign.store.tables.row_mapper import RowMapper
from countersign.store.tables.schema import CREDENTIALS

ROWS: Final = RowMapper(CREDENTIALS, IntegrationCode)

_SELECT: Final = f"SELECT {CREDENTIALS.names} FROM credentials"


async def find(key: bytes) -> IntegrationCode | None:
    """Return the integration code with this keyed hash, or None; ended and expired ones are found too."""
    rows = await Sql(f"{_SELECT} WHERE key = $1", (key,))
    return ROWS.from_row(rows[0]) if rows else None


async def list_active(account: str, now: int) -> list[IntegrationCode]:
    """Return the integration codes of an account that have neither ended nor expired, newest first."""
    rows = await Sql(
        f"{_SELECT} WHERE account = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY id DESC", (account, now)
    )
    return [ROWS.from_row(row) for row in rows]


def insert(code: IntegrationCode) -> Change:
    """Return the change that inserts an integration code."""
    return Insert(CREDENTIALS, [ROWS.to_row(code)])


def update(code: IntegrationCode) -> Change:
    """Return the change that updates an integration code."""
    return Update(CREDENTIALS, [ROWS.to_update_row(code)])


async def record_use(key: bytes, where: str, now: int) -> bool:
    """Record that an integration code was used, and from where; return False if it has ended or expired meanwhile."""
    rows = await Sql(
        "UPDATE credentials SET last_used_at = $1, last_used_from = $2"
        " WHERE key = $3 AND ended_at IS NULL AND expires_at > $1 RETURNING id",
        (now, where, key),
    )
    return bool(rows)


async def end_all(account: str, now: int) -> list[str]:
    """End every integration code of an account; return the ids of those that ended by this."""
    rows = await Sql(
        "UPDATE credentials SET ended_at = $1 WHERE account = $2 AND ended_at IS NULL AND expires_at > $1 RETURNING id",
        (now, account),
    )
    return sorted(row[0] for row in rows)


async def delete_expired(before: int, limit: int) -> int:
    """Delete at most `limit` integration codes that expired before `before` (ms); return how many were deleted."""
    return await delete_rows(CREDENTIALS, "expires_at < $1", (before,), order_by="expires_at", limit=limit)
