"""Reads and writes authorization codes, which are used once, and access tokens, which end with their session."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.store.engine.database import Insert, Sql, Write
from countersign.store.tables.deletion import delete_rows
from countersign.store.tables.row_mapper import RowMapper
from countersign.store.tables.schema import GRANTS, TOKENS

_DAY_MS: Final = 86_400_000


class AccessToken(msgspec.Struct, frozen=True):
    """An access token: `key` and `grant` are keyed hashes, `session` is the id of the session it ends with, times are in ms."""

    key: bytes
    grant: bytes
    application: str
    account: str
    session: str
    scope: str
    created_at: int
    expires_at: int
    ended_at: int | None = None


TOKEN_ROWS: Final = RowMapper(TOKENS, AccessToken, columns={"grant": "grant_key"})


async def add(key: bytes, data: bytes, now: int, expires_at: int) -> None:
    """Add an authorization code by its keyed hash, with the sealed data that it was issued for; times in ms."""
    await Write((Insert(GRANTS, [(key, data, now, expires_at, None)]),), last=True)


async def use(key: bytes, now: int) -> bytes | None:
    """Use an authorization code for the first time, before it expires; return its data.

    Return None otherwise. A code that is used again was stolen, or somebody is trying it: every access token issued for it ends (RFC 6749,
    4.1.2).
    """
    rows = await Sql(
        "UPDATE grants SET used_at = $1 WHERE key = $2 AND used_at IS NULL RETURNING data, expires_at", (now, key)
    )
    if rows:
        data, expires_at = rows[0]
        return data if now < expires_at else None
    await Sql(
        "UPDATE tokens SET ended_at = $1 WHERE grant_key = $2 AND ended_at IS NULL RETURNING application", (now, key)
    )
    return None


async def add_token(token: AccessToken) -> None:
    """Add an access token."""
    await Write((Insert(TOKENS, [TOKEN_ROWS.to_row(token)]),), last=True)


async def find_last_application(account: str, session: str) -> str:
    """Return the id of the application that got an access token in a session last; empty if none did."""
    rows = await Sql(
        "SELECT application FROM tokens WHERE account = $1 AND session = $2 ORDER BY created_at DESC LIMIT 1",
        (account, session),
    )
    return rows[0][0] if rows else ""


async def list_tokens(account: str) -> list[AccessToken]:
    """Return the access tokens of an account that are stored, oldest first; ended ones too."""
    rows = await Sql(f"SELECT {TOKENS.names} FROM tokens WHERE account = $1 ORDER BY created_at", (account,))
    return [TOKEN_ROWS.from_row(row) for row in rows]


async def find_token(key: bytes, now: int) -> AccessToken | None:
    """Return an access token by its keyed hash, or None if it is unknown, expired or ended."""
    rows = await Sql(
        f"SELECT {TOKENS.names} FROM tokens WHERE key = $1 AND ended_at IS NULL AND expires_at > $2", (key, now)
    )
    return TOKEN_ROWS.from_row(rows[0]) if rows else None


async def end_token(key: bytes, application: str, now: int) -> bool:
    """End an access token of an application; return False if it has none with this keyed hash that has not ended."""
    rows = await Sql(
        "UPDATE tokens SET ended_at = $1 WHERE key = $2 AND application = $3 AND ended_at IS NULL RETURNING application",
        (now, key, application),
    )
    return bool(rows)


async def delete_expired(now: int, limit: int) -> int:
    """Delete authorization codes and access tokens that expired a day ago, at most `limit` of each; return how many were deleted."""
    deleted = 0
    for table in (GRANTS, TOKENS):
        deleted += await delete_rows(table, "expires_at <= $1", (now - _DAY_MS,), order_by="expires_at", limit=limit)
    return deleted
