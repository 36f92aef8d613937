"""Rotate the keys: add a key that becomes active later. Older keys still read what they made."""

from __future__ import annotations

from pathlib import Path

from countersign.domain.shared.event import Event, EventKind
from countersign.keys import rotate_file
from countersign.store.engine.database import Database
from countersign.store.ledger import event_log
from countersign.store.ledger.event_log import Log


async def rotate_keys(database: Database, log: Log, path: Path, now: int, delay: int) -> tuple[str, int]:
    """Add a key to the file at `path`, active `delay` ms after `now`. Returns its id and that time (ms), and records an event.

    Raises SettingsError if the file cannot be written.
    """
    kid, active_from = rotate_file(path, now, delay)
    await log.run(
        database, event_log.append_event, Event(now, EventKind.KEYS_ROTATED, "", kid, {"active_from": active_from})
    )
    return kid, active_from
