"""Integration codes as rows."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.accounts.integration_code import IntegrationCode
from countersign.store.engine.database import Change, Insert, Row, Sql, Update
from countersign.store.tables.schema import CREDENTIALS

_SELECT: Final = f"SELECT {CREDENTIALS.names} FROM credentials"
_scopes: Final = msgspec.json.Decoder(tuple[str, ...]).decode
_encode: Final = msgspec.json.Encoder().encode


async def find(key: bytes) -> IntegrationCode | None:
    """Return the integration code of this keyed hash, or None."""
    rows = await Sql(f"{_SELECT} WHERE key = $1", (key,))
    return from_row(rows[0]) if rows else None


async def list_active(account: str, now: int) -> list[IntegrationCode]:
    """Return an account's integration codes that are alive, the newest first."""
    rows = await Sql(
        f"{_SELECT} WHERE account = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY id DESC", (account, now)
    )
    return [from_row(row) for row in rows]


def insert(credential: IntegrationCode) -> Change:
    """Return the change that adds one."""
    return Insert(CREDENTIALS, [to_row(credential)])


def update(credential: IntegrationCode) -> Change:
    """Return the change of one that is there."""
    return Update(CREDENTIALS, [(credential.key, *_moving(credential))])


async def record_use(key: bytes, where: str, now: int) -> bool:
    """Write down that one was used, and from where; False if it has ended meanwhile."""
    rows = await Sql(
        "UPDATE credentials SET last_used_at = $1, last_used_from = $2"
        " WHERE key = $3 AND ended_at IS NULL AND expires_at > $1 RETURNING id",
        (now, where, key),
    )
    return bool(rows)


async def end_all(account: str, now: int) -> list[str]:
    """End every integration code of an account; return the ids of those that ended."""
    rows = await Sql(
        "UPDATE credentials SET ended_at = $1 WHERE account = $2 AND ended_at IS NULL AND expires_at > $1 RETURNING id",
        (now, account),
    )
    return sorted(row[0] for row in rows)


async def delete_expired(before: int, most: int) -> int:
    """Delete integration codes that expired before `before` (ms), at most `most`; return how many went."""
    rows = await Sql("SELECT key FROM credentials WHERE expires_at < $1 ORDER BY expires_at LIMIT $2", (before, most))
    for (key,) in rows:
        await Sql("DELETE FROM credentials WHERE key = $1", (bytes(key),))
    return len(rows)


def from_row(row: Row) -> IntegrationCode:
    """Return the integration code that a whole row holds."""
    key, account, id_, created_at, name, scopes, *rest = row
    return IntegrationCode(bytes(key), account, id_, created_at, bytes(name), _scopes(scopes), *rest)


def to_row(credential: IntegrationCode) -> Row:
    """Return the whole row of an integration code."""
    return (
        credential.key,
        credential.account,
        credential.id,
        credential.created_at,
        credential.name,
        _encode(credential.scopes).decode(),
        *_moving(credential),
    )


def _moving(credential: IntegrationCode) -> Row:
    return (credential.expires_at, credential.last_used_at, credential.last_used_from, credential.ended_at)
