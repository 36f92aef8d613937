"""Sessions as rows."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.accounts.session import Session, SessionProof
from countersign.store.engine.database import Change, Insert, Row, Sql
from countersign.store.tables.schema import SESSIONS

_SELECT: Final = f"SELECT {SESSIONS.names} FROM sessions"
_proofs: Final = msgspec.json.Decoder(tuple[SessionProof, ...]).decode
_encode: Final = msgspec.json.Encoder().encode


async def find(mark: bytes, now: int) -> Session | None:
    """Return the session of this mark, unless it has ended."""
    rows = await Sql(f"{_SELECT} WHERE mark = $1 AND expires_at > $2", (mark, now))
    return from_row(rows[0]) if rows else None


async def find_by_id(account: str, session_id: str, now: int) -> Session | None:
    """Return an account's session by its id, unless it has ended."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 AND id = $2 AND expires_at > $3", (account, session_id, now))
    return from_row(rows[0]) if rows else None


async def list_active(account: str, now: int) -> list[Session]:
    """Return an account's sessions that are alive, the last seen first."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 AND expires_at > $2 ORDER BY last_seen_at DESC, id", (account, now))
    return [from_row(row) for row in rows]


def insert(session: Session) -> Change:
    """Return the change that adds a session."""
    return Insert(SESSIONS, [to_row(session)])


async def end(mark: bytes) -> bool:
    """End the session of this mark; False if there is none (any more)."""
    return bool(await Sql("DELETE FROM sessions WHERE mark = $1 RETURNING id", (mark,)))


async def end_by_id(account: str, session_id: str) -> bool:
    """End an account's session by its id; False if there is none (any more)."""
    rows = await Sql("DELETE FROM sessions WHERE account = $1 AND id = $2 RETURNING id", (account, session_id))
    return bool(rows)


async def end_all(account: str, but: str = "") -> list[str]:
    """End every session of an account but one (by id); return the ids of those that ended."""
    rows = await Sql("DELETE FROM sessions WHERE account = $1 AND id <> $2 RETURNING id", (account, but))
    return sorted(row[0] for row in rows)


async def replace_proofs(before: Session, after: Session) -> bool:
    """Replace a session's proofs by what is left of them; False if they have changed meanwhile."""
    rows = await Sql(
        "UPDATE sessions SET proofs = $1 WHERE mark = $2 AND proofs = $3 RETURNING id",
        (_encode(after.proofs).decode(), before.mark, _encode(before.proofs).decode()),
    )
    return bool(rows)


async def end_on_device(account: str, device: bytes) -> list[str]:
    """End an account's sessions on one browser; return their ids."""
    rows = await Sql("DELETE FROM sessions WHERE account = $1 AND device = $2 RETURNING id", (account, device))
    return sorted(row[0] for row in rows)


async def record_use(mark: bytes, ip: str, place: str, now: int) -> None:
    """Write down that a session is in use, and where."""
    await Sql(
        "UPDATE sessions SET last_seen_at = $1, ip = $2, place = $3 WHERE mark = $4 RETURNING id",
        (now, ip, place, mark),
    )


async def delete_expired(now: int, most: int) -> int:
    """Delete sessions that ended by their time, at most `most`; return how many went."""
    rows = await Sql("SELECT mark FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2", (now, most))
    for (mark,) in rows:
        await Sql("DELETE FROM sessions WHERE mark = $1", (bytes(mark),))
    return len(rows)


def from_row(row: Row) -> Session:
    """Return the session that a whole row holds."""
    mark, id_, account, device, created_at, user_agent, ip, place, proofs, last_seen_at, expires_at = row
    return Session(
        bytes(mark),
        id_,
        account,
        bytes(device),
        created_at,
        user_agent,
        ip,
        place,
        _proofs(proofs),
        last_seen_at,
        expires_at,
    )


def to_row(session: Session) -> Row:
    """Return the whole row of a session."""
    return (
        session.mark,
        session.id,
        session.account,
        session.device,
        session.created_at,
        session.user_agent,
        session.ip,
        session.place,
        _encode(session.proofs).decode(),
        session.last_seen_at,
        session.expires_at,
    )
