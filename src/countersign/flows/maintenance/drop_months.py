"""Drop months of the event log that are older than the retention, from the oldest on: what is sealed, and, by default, was exported.

A drop is signed before anything is deleted. So a verification tells it from what somebody did who can only write to the database.
"""

from __future__ import annotations

import contextlib
import hmac
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.shared.event import Event, EventKind
from countersign.domain.shared.month import LogRetention, month_number, month_of
from countersign.errors import UnavailableError
from countersign.flows.maintenance.audit import newest_named_seal
from countersign.flows.maintenance.audit_order import judge_seals
from countersign.flows.maintenance.seal_record import SealRecord, read_record, record_digest, sign_record
from countersign.store.engine.database import Append, ConflictError, Take, Write
from countersign.store.tables import checkpoints, event_order, event_seals, metadata
from countersign.store.tables.event_seals import DROP, SealRow
from countersign.store.tables.schema import FACTS

if TYPE_CHECKING:
    from countersign.flows.maintenance.audit_report import AuditFinding
    from countersign.keys import Keyring
    from countersign.store.engine.database import Database
    from countersign.store.ledger.event_log import Log

_SEGMENTS_AT_ONCE: Final = 20
_UNTRUSTED: Final = (
    "The seals of the event log are not what was written, so no month is dropped. Run `countersign events verify`."
)


class ConfirmedExport(msgspec.Struct, frozen=True):
    """Up to which segment an export is kept elsewhere, since when that is known (ms), who said so, and a keyed hash of it."""

    segment: int
    at: int
    by: str
    mac: bytes


class MonthState(msgspec.Struct, frozen=True):
    """A month of the log: its pages and events, when it was sealed and dropped (ms), and whether an export of it was confirmed."""

    month: str
    pages: int
    events: int
    sealed_at: int
    exported: bool
    dropped_at: int | None


async def drop_months(database: Database, log: Log, keyring: Keyring, retention: LogRetention, now: int) -> int:
    """Drop the months that are due, and delete what is left of those that were dropped before. Returns how many pages were deleted.

    Raises UnavailableError if the database is down, or if the seals are not what was written; then nothing is dropped.
    """
    deleted = await _delete_dropped(database, keyring)
    while retention.months and (row := await _find_due(database, keyring, retention, now)) is not None:
        record = await _verified_seal(database, keyring, row)
        with contextlib.suppress(ConflictError):  # another process was faster; what it left is looked at again
            deleted += await _drop(database, log, keyring, record, now)
        deleted += await _delete_dropped(database, keyring)
    return deleted


async def confirm_export(database: Database, log: Log, keyring: Keyring, segment: int, by: str, now: int) -> bool:
    """Note that everything up to a segment is kept elsewhere, says `by`. Returns False if as much was known before."""
    if segment <= await find_confirmed(database, keyring):
        return False
    confirmed = ConfirmedExport(segment, now, by, keyring.link(_confirmed_input(segment, now, by)))
    event = Event(now, EventKind.EXPORT_CONFIRMED, "", "events", {"segment": segment, "by": by})
    return await log.run(database, _write_confirmed, keyring, confirmed, event)


async def find_confirmed(database: Database, keyring: Keyring) -> int:
    """Return up to which segment an export was confirmed; 0 if none was, or if what stands there was not written by us."""
    return _confirmed_in(keyring, await database.read(metadata.find, metadata.EVENTS_EXPORTED))


def _confirmed_in(keyring: Keyring, stored: bytes | None) -> int:
    if stored is None:
        return 0
    try:
        known = msgspec.json.decode(stored, type=ConfirmedExport)
    except msgspec.MsgspecError:
        return 0
    entry = _confirmed_input(known.segment, known.at, known.by)
    links = (keyring.hashes.link_of(place, entry) for place in keyring.hashes.positions())
    return known.segment if any(hmac.compare_digest(link, known.mac) for link in links) else 0


async def list_months(database: Database, keyring: Keyring) -> list[MonthState]:
    """Return the months that were sealed, oldest first."""
    confirmed = await find_confirmed(database, keyring)
    rows = await database.read(event_seals.list_all)
    dropped = {row.month: row.at for row in rows if row.kind == DROP}
    found: list[MonthState] = []
    for row in rows:
        record = read_record(keyring.verified_checkpoint(row.signed)[0])
        if record is None or row.kind == DROP:
            continue
        found.append(
            MonthState(
                record.month,
                record.pages,
                record.events,
                record.at,
                record.segment <= confirmed,
                dropped.get(record.month),
            )
        )
    return found


def months_due(months: list[MonthState], retention: LogRetention, now: int) -> list[MonthState]:
    """Return the months that are older than the retention and still there."""
    return [one for one in months if one.dropped_at is None and _is_old(one.month, retention, now)]


async def _find_due(database: Database, keyring: Keyring, retention: LogRetention, now: int) -> SealRow | None:
    rows = await database.read(event_seals.list_undropped)
    if not rows or not _is_old(rows[0].month, retention, now):
        return None
    if not retention.unexported and rows[0].segment > await find_confirmed(database, keyring):
        return None
    return rows[0]


def _is_old(month: str, retention: LogRetention, now: int) -> bool:
    return bool(retention.months) and month_number(month_of(now)) - month_number(month) > retention.months


async def _verified_seal(database: Database, keyring: Keyring, row: SealRow) -> SealRecord:
    """Return what was signed. A row alone says nothing: somebody may have written it so that we drop what we must keep."""
    findings: list[AuditFinding] = []
    last = await database.read(checkpoints.find_last)
    named = newest_named_seal(keyring, last[1]) if last else None
    await database.read(judge_seals, keyring, dict([named]) if named else {}, findings)
    record = read_record(keyring.verified_checkpoint(row.signed)[0])
    if findings or record is None:
        raise UnavailableError(_UNTRUSTED)
    return record


async def _drop(database: Database, log: Log, keyring: Keyring, sealed: SealRecord, now: int) -> int:
    before = await database.read(event_seals.find_last)
    assert before is not None  # noqa: S101 - there is at least the seal of this month
    digest = record_digest(before.signed)
    record = msgspec.structs.replace(
        sealed, number=before.number + 1, kind=DROP, at=now, before=digest, seal=sealed.number, by="retention"
    )
    facts: dict[str, str | int] = {"pages": sealed.pages, "events": sealed.events, "by": "retention"}
    event = Event(now, EventKind.MONTH_DROPPED, "", sealed.month, facts)
    return await log.run(database, _write_drop, sign_record(keyring, record), sealed.number, event)


async def _write_drop(row: SealRow, seal: int, event: Event) -> int:
    """Write the drop, and delete the last segment of the month. It stays as a row: the next one follows it.

    Raises ConflictError if the month of this seal is not the oldest one any more: a second drop of it would break the chain of records.
    """
    undropped = await event_seals.list_undropped()
    if not undropped or undropped[0].number != seal:
        raise ConflictError
    segment = await event_order.find(row.segment)
    deleted = 0 if segment is None else await event_order.delete_segment(segment, keep_row=True)
    await Append([event])
    await Write((event_seals.insert(row),), last=True)
    return deleted


async def _delete_dropped(database: Database, keyring: Keyring) -> int:
    """Delete the segments before the last one that was dropped, each in a transaction of its own.

    Raises UnavailableError if that drop is not what we signed.
    """
    dropped = await database.read(event_seals.find_last, DROP)
    deleted = 0
    if dropped is not None:
        record = read_record(keyring.verified_checkpoint(dropped.signed)[0])
        if record is None or (record.number, record.kind, record.segment) != (dropped.number, DROP, dropped.segment):
            raise UnavailableError(_UNTRUSTED)
    while dropped is not None:
        segments = await database.read(event_order.list_from, 0, _SEGMENTS_AT_ONCE)
        old = [segment for segment in segments if segment.number < dropped.segment]
        if not old:
            break
        for segment in old:
            deleted += await database.run(event_order.delete_segment, segment, keep_row=False)
    return deleted


async def _write_confirmed(keyring: Keyring, confirmed: ConfirmedExport, event: Event) -> bool:
    rows = await Take(FACTS, [(metadata.EVENTS_EXPORTED,)])
    if confirmed.segment <= _confirmed_in(keyring, rows[0][1] if rows else None):
        return False  # somebody confirmed more meanwhile
    await Append([event])
    await metadata.save(metadata.EVENTS_EXPORTED, msgspec.json.encode(confirmed))
    return True


def _confirmed_input(segment: int, at: int, by: str) -> bytes:
    return f"exported\0{segment}\0{at}\0{by}\0".encode("utf-8", "surrogatepass")
