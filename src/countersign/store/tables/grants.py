"""Grants and tokens as rows: authorization codes that are used once, and access tokens that die with their session."""

from __future__ import annotations

import msgspec

from countersign.store.engine.database import Insert, Sql, Write
from countersign.store.tables.schema import GRANTS, TOKENS


class AccessToken(msgspec.Struct, frozen=True):
    """An access token; `key` and `grant` are keyed hashes, times in ms, `session` the id of the session it dies with."""

    key: bytes
    grant: bytes
    application: str
    account: str
    session: str
    scope: str
    created_at: int
    expires_at: int
    ended_at: int | None = None


async def add(key: bytes, data: bytes, now: int, expires_at: int) -> None:
    """Add a grant."""
    await Write((Insert(GRANTS, [(key, data, now, expires_at, None)]),), last=True)


async def use(key: bytes, now: int) -> bytes | None:
    """Use a grant, for the first time and within its time; return what it holds.

    One that comes again was stolen, or is being tried: every token it gave ends (RFC 6749, 4.1.2).
    """
    rows = await Sql(
        "UPDATE grants SET used_at = $1 WHERE key = $2 AND used_at IS NULL RETURNING data, expires_at", (now, key)
    )
    if rows:
        data, expires_at = rows[0]
        return bytes(data) if now < expires_at else None
    await Sql(
        "UPDATE tokens SET ended_at = $1 WHERE grant_key = $2 AND ended_at IS NULL RETURNING application", (now, key)
    )
    return None


async def add_token(token: AccessToken) -> None:
    """Add an access token."""
    await Write((Insert(TOKENS, [tuple(getattr(token, name) for name in AccessToken.__struct_fields__)]),), last=True)


async def find_token(key: bytes, now: int) -> AccessToken | None:
    """Return a token that is alive."""
    rows = await Sql(
        f"SELECT {TOKENS.names} FROM tokens WHERE key = $1 AND ended_at IS NULL AND expires_at > $2", (key, now)
    )
    if not rows:
        return None
    key_, grant, *rest = rows[0]
    return AccessToken(bytes(key_), bytes(grant), *rest)


async def end_token(key: bytes, application: str, now: int) -> bool:
    """End an application's token; False if it has none of this hash."""
    rows = await Sql(
        "UPDATE tokens SET ended_at = $1 WHERE key = $2 AND application = $3 AND ended_at IS NULL RETURNING application",
        (now, key, application),
    )
    return bool(rows)


async def delete_expired(now: int, most: int) -> int:
    """Delete grants and tokens whose time ended a day ago, at most `most` of each; return how many went."""
    before, gone = now - 86_400_000, 0
    for table, column in (("grants", "key"), ("tokens", "key")):
        rows = await Sql(
            f"SELECT {column} FROM {table} WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2", (before, most)
        )
        for (key,) in rows:
            await Sql(f"DELETE FROM {table} WHERE {column} = $1", (bytes(key),))
        gone += len(rows)
    return gone
