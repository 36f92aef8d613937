"""Reads and writes the lineage of this database: which one it is, and how often it was restored from a backup.

Each restoration begins a new generation. Its name also stands outside the database, in the mark of each machine. So a machine can tell
a database that was set back from one whose restoration another machine has noticed already.
"""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.store.engine.database import Sql, Take
from countersign.store.tables import metadata
from countersign.store.tables.schema import FACTS

LINEAGE: Final = "lineage"
"""The lineage as JSON."""
BACKUP: Final = "backup"
"""In a backup alone: what it says of itself, as JSON. A database that has it was made from a backup, and nobody has served it yet."""
LAST_BACKUP: Final = "last_backup"
"""When `countersign backup` has last made a backup of this database (ms, in digits)."""
RESTORED_AT: Final = "restored_at"
"""When this database was last restored (ms, in digits): what was made for one use before counts as used."""

_encode: Final = msgspec.json.Encoder().encode


class Lineage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a database comes from. Times are in ms.

    - `database` is the name that it got at its first start, and `generation` that of the time since its last restoration.
    - `earlier` are the generations before.
    - `restored_at` is when the last restoration was noticed, and `noticed_by` how: `command`, `backup` or `mark`. 0 and "" if never.
    - `backup_at` is when the backup was made, or the last sign of life in it.
    - `unfinished` is true until everything has ended that could have been used or revoked since the backup, and `told` once the event log
      says so.
    """

    database: str
    generation: str
    earlier: tuple[str, ...] = ()
    restored_at: int = 0
    noticed_by: str = ""
    backup_at: int = 0
    unfinished: bool = False
    told: bool = False


async def find() -> Lineage | None:
    """Return the lineage, or None if no program has served this database that knows of it."""
    return _read(await metadata.find(LINEAGE))


async def lock() -> Lineage | None:
    """Return the lineage, which nobody else changes until the transaction ends."""
    rows = await Take(FACTS, [(LINEAGE,)])
    return _read(rows[0][1]) if rows else None


async def add(lineage: Lineage) -> None:
    """Add the lineage; raises ConflictError if there is one."""
    await metadata.add(LINEAGE, _encode(lineage))


async def save(lineage: Lineage) -> None:
    """Write the lineage, which the transaction has locked."""
    await metadata.save(LINEAGE, _encode(lineage))


async def finish() -> None:
    """Record that everything has ended that had to end after a restoration."""
    current = await lock()
    if current is not None and current.unfinished:
        await save(msgspec.structs.replace(current, unfinished=False))


async def lacks_page(writer: str, seq: int, page_hash: bytes) -> bool:
    """Say whether the log was never written up to a page, or otherwise than this.

    A page that is gone though its chain came as far was dropped with its month. No time is compared: clocks go back, and months hold
    pages that bear an earlier time.
    """
    rows = await Sql(
        "SELECT w.seq, e.hash FROM writers w LEFT JOIN events e ON e.writer = w.writer AND e.seq = $1 WHERE w.writer = $2",
        (seq, writer),
    )
    if not rows:
        return True
    end, stored = rows[0]
    return end < seq or (stored is not None and bytes(stored) != page_hash)


async def has_pages() -> bool:
    """Say whether the log has any page."""
    return bool(await Sql("SELECT seq FROM events LIMIT 1"))


async def find_last_sign(otherwise: int) -> int:
    """Return when the last checkpoint was signed (ms): a sign of life that is a minute old at most. Without any, return `otherwise`."""
    rows = await Sql("SELECT at FROM checkpoints ORDER BY number DESC LIMIT 1")
    return rows[0][0] if rows else otherwise


async def remove_backup_note() -> None:
    """Remove what a backup says of itself, once its restoration is noticed."""
    await Sql("DELETE FROM facts WHERE name = $1", (BACKUP,))


async def find_restored_at() -> int:
    """Return when this database was last restored (ms); 0 if never."""
    return int(await metadata.find(RESTORED_AT) or b"0")


def _read(value: bytes | None) -> Lineage | None:
    return None if value is None else msgspec.json.decode(value, type=Lineage)
