"""Reads and writes devices: the browsers that each account has been used on."""

from __future__ import annotations

from typing import Final

from countersign.domain.accounts.device import Device
from countersign.store.engine.database import Change, Sql, Update, Upsert
from countersign.store.tables.deletion import delete_rows
from countersign.store.tables.row_mapper import RowMapper
from countersign.store.tables.schema import DEVICES

ROWS: Final = RowMapper(DEVICES, Device, columns={"token_hash": "mark"})

_SELECT: Final = f"SELECT {DEVICES.names} FROM devices"


async def find(account: str, mark: bytes) -> Device | None:
    """Return the device of an account with this mark, or None; ended ones are not found."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 AND mark = $2 AND ended_at IS NULL", (account, mark))
    return ROWS.from_row(rows[0]) if rows else None


async def find_newest(account: str) -> Device | None:
    """Return the device of an account that was seen last, or None; ended ones are found too."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 ORDER BY last_seen_at DESC LIMIT 1", (account,))
    return ROWS.from_row(rows[0]) if rows else None


async def list_active(account: str) -> list[Device]:
    """Return the devices of an account that have not ended, the last seen first."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 AND ended_at IS NULL ORDER BY last_seen_at DESC, id", (account,))
    return [ROWS.from_row(row) for row in rows]


def upsert(device: Device) -> Change:
    """Return the change that writes a device, whether or not it is known."""
    return Upsert(DEVICES, [ROWS.to_row(device)])


def update(device: Device) -> Change:
    """Return the change that updates a device."""
    return Update(DEVICES, [ROWS.to_update_row(device)])


async def end_trust(account: str) -> int:
    """End the trust of an account in all its devices; return how many were trusted (semantics S4)."""
    rows = await Sql(
        "UPDATE devices SET trusted_at = NULL WHERE account = $1 AND trusted_at IS NOT NULL RETURNING id", (account,)
    )
    return len(rows)


async def delete_unseen(before: int, unseen_since: int, limit: int) -> int:
    """Delete what is no longer needed of devices last seen before `before` (ms): of at most `limit`, whose number is returned.

    A device that ended, or was last seen before `unseen_since` (ms), is deleted. Any other stays known and loses its address alone.
    """
    deleted = await delete_rows(
        DEVICES,
        "last_seen_at < $1 AND (ended_at IS NOT NULL OR last_seen_at < $2)",
        (before, unseen_since),
        order_by="last_seen_at",
        limit=limit,
    )
    emptied = await Sql(
        "WITH found AS MATERIALIZED (SELECT account, mark FROM devices WHERE last_seen_at < $1 AND ip <> ''"
        " ORDER BY last_seen_at LIMIT $2 FOR UPDATE SKIP LOCKED)"
        " UPDATE devices SET ip = '' WHERE (account, mark) IN (SELECT account, mark FROM found) RETURNING 1",
        (before, limit),
    )
    return max(deleted, len(emptied))
