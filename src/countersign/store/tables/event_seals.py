"""Reads and writes the seals of the event log: signed records that a month ended, and that it was dropped."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.store.engine.database import Change, Insert, Row, Sql
from countersign.store.tables.event_schema import EVENT_SEALS

SEAL: Final = "seal"
DROP: Final = "drop"


class SealRow(msgspec.Struct, frozen=True):
    """A seal as it is stored. `segment` is the last segment of its month, `signed` a compact JWS; only what it says is authentic."""

    number: int
    kind: str
    month: str
    segment: int
    at: int
    signed: str


async def list_all() -> list[SealRow]:
    """Return all seals, oldest first: two for each month at most."""
    rows = await Sql(f"SELECT {EVENT_SEALS.names} FROM event_seals ORDER BY number")
    return [SealRow(*row) for row in rows]


async def find_last(kind: str = "") -> SealRow | None:
    """Return the newest seal, of one kind or of any, or None."""
    condition, args = ("WHERE kind = $1", (kind,)) if kind else ("", ())
    rows = await Sql(f"SELECT {EVENT_SEALS.names} FROM event_seals {condition} ORDER BY number DESC LIMIT 1", args)
    return SealRow(*rows[0]) if rows else None


async def list_undropped() -> list[SealRow]:
    """Return the seals of the months that were not dropped, oldest first."""
    rows = await Sql(
        f"SELECT {EVENT_SEALS.names} FROM event_seals WHERE kind = $1"
        " AND segment > coalesce((SELECT max(segment) FROM event_seals WHERE kind = $2), 0) ORDER BY number",
        (SEAL, DROP),
    )
    return [SealRow(*row) for row in rows]


def insert(seal: SealRow) -> Change:
    """Return the change that adds a seal. The write raises ConflictError if there is one of its number."""
    row: Row = (seal.number, seal.kind, seal.month, seal.segment, seal.at, seal.signed)
    return Insert(EVENT_SEALS, [row])
