"""Grants and tokens as rows: authorization codes that are used once, and access tokens that die with their session."""

from __future__ import annotations

import msgspec

from countersign.store.engine.database import Insert, Query, Steps, Write
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


def add(key: bytes, data: bytes, now: int, expires_at: int) -> Steps[None]:
    """Add a grant."""
    yield Write((Insert(GRANTS, [(key, data, now, expires_at, None)]),), last=True)


def use(key: bytes, now: int) -> Steps[bytes | None]:
    """Use a grant, for the first time and within its time; return what it holds.

    One that comes again was stolen, or is being tried: every token it gave ends (RFC 6749, 4.1.2).
    """
    rows = yield Query(
        "UPDATE grants SET used_at = $1 WHERE key = $2 AND used_at IS NULL RETURNING data, expires_at", (now, key)
    )
    if rows:
        data, expires_at = rows[0]
        return bytes(data) if now < expires_at else None
    yield Query(
        "UPDATE tokens SET ended_at = $1 WHERE grant_key = $2 AND ended_at IS NULL RETURNING application", (now, key)
    )
    return None


def add_token(token: AccessToken) -> Steps[None]:
    """Add an access token."""
    yield Write((Insert(TOKENS, [tuple(getattr(token, name) for name in AccessToken.__struct_fields__)]),), last=True)


def find_token(key: bytes, now: int) -> Steps[AccessToken | None]:
    """Return a token that is alive."""
    rows = yield Query(
        f"SELECT {TOKENS.names} FROM tokens WHERE key = $1 AND ended_at IS NULL AND expires_at > $2", (key, now)
    )
    if not rows:
        return None
    key_, grant, *rest = rows[0]
    return AccessToken(bytes(key_), bytes(grant), *rest)


def end_token(key: bytes, application: str, now: int) -> Steps[bool]:
    """End an application's token; False if it has none of this hash."""
    rows = yield Query(
        "UPDATE tokens SET ended_at = $1 WHERE key = $2 AND application = $3 AND ended_at IS NULL RETURNING application",
        (now, key, application),
    )
    return bool(rows)


def forget(now: int, most: int) -> Steps[int]:
    """Delete grants and tokens whose time ended a day ago, at most `most` of each; return how many went."""
    before, gone = now - 86_400_000, 0
    for table, column in (("grants", "key"), ("tokens", "key")):
        rows = yield Query(
            f"SELECT {column} FROM {table} WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2", (before, most)
        )
        for (key,) in rows:
            yield Query(f"DELETE FROM {table} WHERE {column} = $1", (bytes(key),))
        gone += len(rows)
    return gone
