"""Reads and writes authenticators: authenticator apps, passkeys and recovery codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from countersign.domain.accounts.authenticator import Authenticator, AuthenticatorKind
from countersign.store.engine.database import Change, Insert, Sql, Update
from countersign.store.tables.deletion import delete_rows
from countersign.store.tables.row_mapper import RowMapper
from countersign.store.tables.schema import FACTORS

ROWS: Final = RowMapper(FACTORS, Authenticator)

_SELECT: Final = f"SELECT {FACTORS.names} FROM factors"


async def list_active(account: str) -> list[Authenticator]:
    """Return the authenticators of an account that have not ended, in the order they were added."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 AND ended_at IS NULL ORDER BY added_at, id", (account,))
    return [ROWS.from_row(row) for row in rows]


async def list_all(account: str) -> list[Authenticator]:
    """Return the authenticators of an account in the order they were added, with ended ones that an undo may bring back."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 ORDER BY added_at, id", (account,))
    return [ROWS.from_row(row) for row in rows]


async def find_by_mark(mark: bytes) -> Authenticator | None:
    """Return the authenticator with this mark, or None; ended ones are not found."""
    rows = await Sql(f"{_SELECT} WHERE mark = $1 AND ended_at IS NULL LIMIT 1", (mark,))
    return ROWS.from_row(rows[0]) if rows else None


def insert(authenticators: Sequence[Authenticator]) -> tuple[Change, ...]:
    """Return the change that inserts authenticators."""
    return (Insert(FACTORS, [ROWS.to_row(one) for one in authenticators]),) if authenticators else ()


def update(authenticators: Sequence[Authenticator]) -> tuple[Change, ...]:
    """Return the change that updates authenticators."""
    return (Update(FACTORS, [ROWS.to_update_row(one) for one in authenticators]),) if authenticators else ()


async def use(account: str, authenticator_id: str, used: int, now: int) -> bool:
    """Use an authenticator whose step or counter `used` must rise with each use.

    Return True to one caller alone. Return False if this step, or a later one, was used before.
    """
    rows = await Sql(
        "UPDATE factors SET used = $1, last_used_at = $2"
        " WHERE account = $3 AND id = $4 AND used < $1 AND ended_at IS NULL RETURNING id",
        (used, now, account, authenticator_id),
    )
    return bool(rows)


async def record_use(account: str, authenticator_id: str, now: int) -> bool:
    """Record the use of an authenticator that has no counter; return False if it has ended."""
    rows = await Sql(
        "UPDATE factors SET last_used_at = $1 WHERE account = $2 AND id = $3 AND ended_at IS NULL RETURNING id",
        (now, account, authenticator_id),
    )
    return bool(rows)


async def use_recovery_code(account: str, mark: bytes, now: int) -> bool:
    """Use a recovery code, found by its mark; return True to one caller alone (semantics R4)."""
    rows = await Sql(
        "UPDATE factors SET ended_at = $1, last_used_at = $1, used = 1"
        " WHERE account = $2 AND mark = $3 AND kind = $4 AND ended_at IS NULL AND used = 0 RETURNING id",
        (now, account, mark, AuthenticatorKind.RECOVERY_CODE.value),
    )
    return bool(rows)


async def keep_recovery_codes(account: str, made_at: int) -> bool:
    """Record that the recovery codes that were made at `made_at` (ms) are kept; return False if none of them is active any more."""
    rows = await Sql(
        "UPDATE factors SET unkept = 0 WHERE account = $1 AND kind = $2 AND added_at = $3 AND ended_at IS NULL RETURNING id",
        (account, AuthenticatorKind.RECOVERY_CODE.value, made_at),
    )
    return bool(rows)


async def delete_ended(before: int, limit: int) -> int:
    """Delete at most `limit` authenticators that ended before `before` (ms); return how many were deleted."""
    return await delete_rows(FACTORS, "ended_at < $1", (before,), order_by="ended_at", limit=limit)
