"""Rotate and retire keys: add a key or an index that becomes active later, and end what an earlier key may do."""

from __future__ import annotations

from pathlib import Path

import msgspec

from countersign.domain.shared.event import Event, EventKind
from countersign.flows.maintenance.audit import hold_log
from countersign.flows.maintenance.reseal import count_sealed
from countersign.keys import LATE_READER, Keyring, StoredKey, close_keys, retire_key, rotate_file, rotate_index
from countersign.store.engine.database import Database
from countersign.store.ledger import event_log
from countersign.store.ledger.event_log import Log


class Retired(msgspec.Struct, frozen=True):
    """A key that was retired.

    `sealed` is how many values are still sealed with it. While there are any, it goes on opening them, and is closed by a reseal.
    """

    key: StoredKey
    sealed: int


async def rotate_keys(database: Database, log: Log, path: Path, now: int, delay: int) -> tuple[str, int]:
    """Add a key to the file at `path`, active `delay` ms after `now`. Returns its id and that time (ms), and records an event.

    Raises SettingsError if the file cannot be written.
    """
    kid, active_from = rotate_file(path, now, delay)
    await _record(database, log, Event(now, EventKind.KEYS_ROTATED, "", kid, {"active_from": active_from}))
    return kid, active_from


async def rotate_hash_index(database: Database, log: Log, path: Path, now: int, delay: int) -> tuple[int, int]:
    """Add an index for keyed hashes, as `rotate_keys` adds a key. Returns its number and the time (ms) from which it is used."""
    number, active_from = rotate_index(path, now, delay)
    event = Event(now, EventKind.KEYS_ROTATED, "", f"index-{number}", {"active_from": active_from})
    await _record(database, log, event)
    return number, active_from


async def retire(database: Database, log: Log, keyring: Keyring, path: Path, kid: str, now: int) -> Retired:
    """Retire a key of the file at `path`: it signs and seals nothing more (semantics K1).

    If nothing is sealed with it, it is closed as soon as its last code and its last token have ended. Raises SettingsError if there is no
    such key, or if it is the active one.
    """
    key = retire_key(path, kid, now)
    keyring.read_again()
    sealed = (await count_sealed(database, keyring)).get(kid, 0)
    over = keyring.taken_over_at(kid)
    if not sealed and (key.active_from > now or (over is not None and now >= over + LATE_READER)):
        close_keys(path, lambda _: [kid], now)
        keyring.read_again()
    key = keyring.stored_key(kid)
    # Otherwise the last checkpoint would be one of a key that is worth nothing now.
    await hold_log(database, keyring, now)
    facts: dict[str, str | int] = {} if key.closed_at is None else {"closed_at": key.closed_at}
    await _record(database, log, Event(now, EventKind.KEYS_RETIRED, "", kid, facts))
    return Retired(key, sealed)


async def _record(database: Database, log: Log, event: Event) -> None:
    await log.run(database, event_log.append_event, event)
