"""Reads and writes the sessions of accounts."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.accounts.session import Session
from countersign.store.engine.database import Change, Insert, Sql, Update
from countersign.store.tables.deletion import delete_rows
from countersign.store.tables.row_mapper import RowMapper
from countersign.store.tables.schema import SESSIONS

ROWS: Final = RowMapper(SESSIONS, Session, columns={"token_hash": "mark", "device_token_hash": "device"})

_SELECT: Final = f"SELECT {SESSIONS.names} FROM sessions"
_encode: Final = msgspec.json.Encoder().encode


async def find(mark: bytes, now: int) -> Session | None:
    """Return the session with this mark, or None if there is none or it has expired."""
    rows = await Sql(f"{_SELECT} WHERE mark = $1 AND expires_at > $2", (mark, now))
    return ROWS.from_row(rows[0]) if rows else None


async def find_by_id(account: str, session_id: str, now: int) -> Session | None:
    """Return a session of an account by its id, or None if there is none or it has expired."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 AND id = $2 AND expires_at > $3", (account, session_id, now))
    return ROWS.from_row(rows[0]) if rows else None


async def list_active(account: str, now: int) -> list[Session]:
    """Return the sessions of an account that have not expired, the last seen first."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 AND expires_at > $2 ORDER BY last_seen_at DESC, id", (account, now))
    return [ROWS.from_row(row) for row in rows]


def insert(session: Session) -> Change:
    """Return the change that inserts a session."""
    return Insert(SESSIONS, [ROWS.to_row(session)])


async def end(mark: bytes) -> bool:
    """End the session with this mark; return False if there is none."""
    return bool(await Sql("DELETE FROM sessions WHERE mark = $1 RETURNING id", (mark,)))


async def end_by_id(account: str, session_id: str) -> bool:
    """End a session of an account by its id; return False if there is none."""
    rows = await Sql("DELETE FROM sessions WHERE account = $1 AND id = $2 RETURNING id", (account, session_id))
    return bool(rows)


async def end_all(account: str, but: str = "") -> list[str]:
    """End every session of an account, except the one with the id `but`; return the ids of those that ended."""
    rows = await Sql("DELETE FROM sessions WHERE account = $1 AND id <> $2 RETURNING id", (account, but))
    return sorted(row[0] for row in rows)


async def end_on_device(account: str, device: bytes) -> list[str]:
    """End the sessions of an account on one device, by its mark; return the ids of those that ended."""
    rows = await Sql("DELETE FROM sessions WHERE account = $1 AND device = $2 RETURNING id", (account, device))
    return sorted(row[0] for row in rows)


def update(session: Session) -> Change:
    """Return the change that updates a session."""
    return Update(SESSIONS, [ROWS.to_update_row(session)])


async def replace_proofs(before: Session, after: Session) -> bool:
    """Replace the proofs of a session; return False if they are no longer those of `before`."""
    rows = await Sql(
        "UPDATE sessions SET proofs = $1 WHERE mark = $2 AND proofs = $3 RETURNING id",
        (_encode(after.proofs).decode(), before.token_hash, _encode(before.proofs).decode()),
    )
    return bool(rows)


async def record_use(mark: bytes, ip: str, place: str, now: int) -> None:
    """Record when and where a session was last used."""
    await Sql(
        "UPDATE sessions SET last_seen_at = $1, ip = $2, place = $3 WHERE mark = $4 RETURNING id",
        (now, ip, place, mark),
    )


async def delete_expired(now: int, limit: int) -> int:
    """Delete at most `limit` sessions that have expired; return how many were deleted."""
    return await delete_rows(SESSIONS, "expires_at <= $1", (now,), order_by="expires_at", limit=limit)
