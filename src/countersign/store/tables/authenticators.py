"""Factors as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from countersign.domain.accounts.authenticator import Authenticator, AuthenticatorKind
from countersign.store.engine.database import Change, Insert, Row, Sql, Update
from countersign.store.tables.schema import FACTORS

_SELECT: Final = f"SELECT {FACTORS.names} FROM factors"


async def list_active(account: str) -> list[Authenticator]:
    """Return an account's factors that have not ended, as they were added."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 AND ended_at IS NULL ORDER BY added_at, id", (account,))
    return [from_row(row) for row in rows]


async def list_all(account: str) -> list[Authenticator]:
    """Return an account's factors, those too that ended and may come back."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 ORDER BY added_at, id", (account,))
    return [from_row(row) for row in rows]


async def find_by_mark(mark: bytes) -> Authenticator | None:
    """Return the factor that has this mark, ended ones aside."""
    rows = await Sql(f"{_SELECT} WHERE mark = $1 AND ended_at IS NULL LIMIT 1", (mark,))
    return from_row(rows[0]) if rows else None


def insert(factors: Sequence[Authenticator]) -> tuple[Change, ...]:
    """Return the changes that add factors."""
    return (Insert(FACTORS, [to_row(factor) for factor in factors]),) if factors else ()


def update(factors: Sequence[Authenticator]) -> tuple[Change, ...]:
    """Return the changes of factors that are there."""
    return (Update(FACTORS, [_moving(factor) for factor in factors]),) if factors else ()


async def use(account: str, factor_id: str, used: int, now: int) -> bool:
    """Use a factor whose `used` goes up: True for one caller alone, and for nothing that was used before."""
    rows = await Sql(
        "UPDATE factors SET used = $1, last_used_at = $2"
        " WHERE account = $3 AND id = $4 AND used < $1 AND ended_at IS NULL RETURNING id",
        (used, now, account, factor_id),
    )
    return bool(rows)


async def record_use(account: str, factor_id: str, now: int) -> bool:
    """Use a factor that does not count; False if it has ended."""
    rows = await Sql(
        "UPDATE factors SET last_used_at = $1 WHERE account = $2 AND id = $3 AND ended_at IS NULL RETURNING id",
        (now, account, factor_id),
    )
    return bool(rows)


async def use_recovery_code(account: str, mark: bytes, now: int) -> bool:
    """Spend a recovery code by its mark: True for one caller alone (semantics R4)."""
    rows = await Sql(
        "UPDATE factors SET ended_at = $1, last_used_at = $1, used = 1"
        " WHERE account = $2 AND mark = $3 AND kind = $4 AND ended_at IS NULL AND used = 0 RETURNING id",
        (now, account, mark, AuthenticatorKind.RECOVERY_CODE.value),
    )
    return bool(rows)


async def delete_ended(before: int, most: int) -> int:
    """Delete factors that ended before `before` (ms), at most `most`; return how many went."""
    rows = await Sql("SELECT account, id FROM factors WHERE ended_at < $1 ORDER BY ended_at LIMIT $2", (before, most))
    for account, id_ in rows:
        await Sql("DELETE FROM factors WHERE account = $1 AND id = $2", (account, id_))
    return len(rows)


def from_row(row: Row) -> Authenticator:
    """Return the factor that a whole row holds."""
    account, id_, kind, added_at, mark, secret, name, *rest = row
    return Authenticator(
        account, id_, AuthenticatorKind(kind), added_at, bytes(mark), bytes(secret), bytes(name), *rest
    )


def to_row(factor: Authenticator) -> Row:
    """Return the whole row of a factor."""
    return (factor.account, factor.id, factor.kind.value, factor.added_at, factor.mark, factor.secret, *_last(factor))


def _moving(factor: Authenticator) -> Row:
    return (factor.account, factor.id, *_last(factor))


def _last(factor: Authenticator) -> Row:
    return (factor.name, factor.used, factor.last_used_at, factor.ended_at)
