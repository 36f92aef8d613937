"""Devices as rows."""

from __future__ import annotations

from countersign.domain.accounts.device import Device
from countersign.store.engine.database import Change, Row, Sql, Update, Upsert
from countersign.store.tables.schema import DEVICES

_SELECT = f"SELECT {DEVICES.names} FROM devices"


async def find(account: str, mark: bytes) -> Device | None:
    """Return the device that an account knows by this mark, ended ones aside."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 AND mark = $2 AND ended_at IS NULL", (account, mark))
    return from_row(rows[0]) if rows else None


async def find_newest(account: str) -> Device | None:
    """Return the device that was seen last on an account."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 ORDER BY last_seen_at DESC LIMIT 1", (account,))
    return from_row(rows[0]) if rows else None


async def list_active(account: str) -> list[Device]:
    """Return an account's devices that have not ended, the last seen first."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 AND ended_at IS NULL ORDER BY last_seen_at DESC, id", (account,))
    return [from_row(row) for row in rows]


def upsert(device: Device) -> Change:
    """Return the change that writes a device, known or new."""
    return Upsert(DEVICES, [to_row(device)])


async def end_trust(account: str) -> int:
    """End an account's trust in every browser; return how many it trusted (semantics S4)."""
    rows = await Sql(
        "UPDATE devices SET trusted_at = NULL WHERE account = $1 AND trusted_at IS NOT NULL RETURNING id", (account,)
    )
    return len(rows)


async def delete_unseen(before: int, unseen_since: int, most: int) -> int:
    """Delete devices that ended or were last seen before `before` (ms), unless they are still known; return how many were looked at.

    A device that is known is kept until it was not seen since `unseen_since`; where it was seen last is forgotten at `before`.
    """
    rows = await Sql(
        "SELECT account, mark, last_seen_at, ended_at FROM devices"
        " WHERE last_seen_at < $1 AND (ip <> '' OR ended_at IS NOT NULL OR last_seen_at < $2) ORDER BY last_seen_at LIMIT $3",
        (before, unseen_since, most),
    )
    for account, mark, last_seen_at, ended_at in rows:
        if ended_at is not None or last_seen_at < unseen_since:
            await Sql("DELETE FROM devices WHERE account = $1 AND mark = $2", (account, bytes(mark)))
        else:
            await Sql("UPDATE devices SET ip = '' WHERE account = $1 AND mark = $2", (account, bytes(mark)))
    return len(rows)


def update(device: Device) -> Change:
    """Return the change of a device that is there."""
    whole = to_row(device)
    return Update(DEVICES, [(*whole[:2], *whole[4:])])


def from_row(row: Row) -> Device:
    """Return the device that a whole row holds."""
    account, mark, *rest = row
    return Device(account, bytes(mark), *rest)


def to_row(device: Device) -> Row:
    """Return the whole row of a device."""
    return tuple(getattr(device, name) for name, _ in DEVICES.columns)
