"""Rotate the keys: a new one takes over a little later, those before still read, and the log keeps that it happened."""

from __future__ import annotations

from pathlib import Path

from countersign.domain.shared.event import Event, EventKind
from countersign.keys import rotate_file
from countersign.store.engine.database import Database
from countersign.store.ledger import event_log
from countersign.store.ledger.event_log import Log


async def rotate_keys(database: Database, log: Log, path: Path, now: int, delay: int) -> tuple[str, int]:
    """Add a key to the file that takes over after `delay` (ms); return its name and from when it is used (ms).

    Raises SettingsError if the file cannot be written.
    """
    kid, active_from = rotate_file(path, now, delay)
    await log.run(
        database, event_log.append_event, Event(now, EventKind.KEYS_ROTATED, "", kid, {"active_from": active_from})
    )
    return kid, active_from
