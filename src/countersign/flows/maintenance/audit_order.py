"""Audit the seals of the event log and its order: which months were dropped, and whether every other page stands in one segment."""

from __future__ import annotations

import hmac
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.shared.event import FIRST_HASH
from countersign.flows.maintenance.audit_report import AuditFinding
from countersign.flows.maintenance.seal_record import SealRecord, hash_bytes, read_record, record_digest
from countersign.store.tables import event_order, event_seals
from countersign.store.tables.event_order import Segment, segment_hash
from countersign.store.tables.event_seals import DROP, SEAL, SealRow

if TYPE_CHECKING:
    from countersign.keys import Keyring

SEALS: Final = "seals"
SEGMENTS: Final = "segments"

_SEGMENTS_AT_ONCE: Final = 100


class SealedLog(msgspec.Struct):
    """What valid seals say of the log.

    `starts` are the chains of dropped months: the last page of each that was dropped, and its hash. `promised` are the hashes of pages
    that months ended with which were not dropped. `segments` are the hashes of the last segments of months, and `first` is the last one
    that was dropped.
    """

    starts: dict[str, tuple[int, bytes]] = msgspec.field(default_factory=dict)
    promised: dict[str, dict[int, str]] = msgspec.field(default_factory=dict)
    segments: dict[int, bytes] = msgspec.field(default_factory=dict)
    first: int = 0
    sealed_until: str = ""
    dropped_until: str = ""


async def judge_seals(keyring: Keyring, named: dict[int, str], findings: list[AuditFinding]) -> SealedLog:
    """Verify all seal records, and return what they say. `named` are the digests of records, by number, that checkpoints signed."""
    rows = await event_seals.list_all()
    sealed = SealedLog()
    waiting: list[SealRecord] = []
    before, is_live = "", True
    for number, row in enumerate(rows, 1):
        claims, is_live = keyring.verified_checkpoint(row.signed)
        record = read_record(claims)
        fault = _fault(record, row, number, before, waiting)
        before = record_digest(row.signed)
        if not fault and named.get(row.number, before) != before:
            fault = "is not the one that a checkpoint signed"
        if fault or record is None:
            findings.append(AuditFinding(SEALS, row.number, f"seal {row.number} {fault}"))
        elif record.kind == SEAL:
            waiting.append(record)
            sealed.sealed_until = record.month
        else:
            _drop(sealed, waiting.pop(0))
    if max(named, default=0) > (rows[-1].number if rows else 0):
        what = f"seals up to {max(named)} were there when a checkpoint was signed, and are not now"
        findings.append(AuditFinding(SEALS, len(rows) + 1, what))
    if rows and not is_live and rows[-1].number not in named:
        findings.append(AuditFinding(SEALS, rows[-1].number, "the last seal is signed by a key that was retired"))
    for record in waiting:
        sealed.segments[record.segment] = hash_bytes(record.segment_hash)
        for writer, (seq, hash_) in record.heads.items():
            sealed.promised.setdefault(writer, {})[seq] = hash_
    return sealed


def _fault(record: SealRecord | None, row: SealRow, number: int, before: str, waiting: list[SealRecord]) -> str:
    """Return what is wrong with a record, or an empty string. `waiting` are the sealed months before it that were not dropped."""
    if record is None:
        return "is not what was signed"
    if (record.number, record.kind, record.month, record.segment, record.at) != (
        row.number,
        row.kind,
        row.month,
        row.segment,
        row.at,
    ):
        return "is not what was signed"
    if record.number != number or record.before != before:
        return "does not follow the one before it"
    if record.kind == DROP and (not waiting or waiting[0].number != record.seal):
        return "drops a month that is not the oldest one"
    return "" if record.kind in {SEAL, DROP} else "is of no known kind"


def _drop(sealed: SealedLog, record: SealRecord) -> None:
    for writer, (seq, hash_) in record.heads.items():
        sealed.starts[writer] = (seq, hash_bytes(hash_))
    sealed.first, sealed.dropped_until = record.segment, record.month
    sealed.segments[record.segment] = hash_bytes(record.segment_hash)


async def judge_order(keyring: Keyring, sealed: SealedLog, heads: dict[str, int], findings: list[AuditFinding]) -> None:
    """Verify that each page up to a chain's position stands in one segment, in order. `heads` are the last pages of chains."""
    found: dict[str, int] = {writer: seq for writer, (seq, _) in sealed.starts.items()}
    before = sealed.segments.get(sealed.first, FIRST_HASH)
    number, index = sealed.first, keyring.hashes.positions().start
    if number and ((anchor := await event_order.find(number)) is None or anchor.hash != before):
        findings.append(
            AuditFinding(SEGMENTS, number, f"segment {number}, the last one that was dropped, is not there")
        )
    while segments := await event_order.list_from(number + 1, _SEGMENTS_AT_ONCE):
        for segment in segments:
            linked_by = _linking_index(keyring, segment, before, index)
            fault = _segment_fault(segment, number + 1, found, sealed)
            if linked_by is None or fault:
                findings.append(
                    AuditFinding(SEGMENTS, segment.number, fault or f"segment {segment.number} is not what was written")
                )
                return
            index, number, before = linked_by, segment.number, segment.hash
            found.update({one.writer: one.until for one in segment.ranges})
    if missing := [number_ for number_ in sealed.segments if number_ > number]:
        findings.append(
            AuditFinding(SEGMENTS, number + 1, f"segments up to {max(missing)} were there when their month was sealed")
        )
    positions = await event_order.list_positions()
    for writer in sorted({*positions, *found}):
        if positions.get(writer, 0) != found.get(writer, 0) or found.get(writer, 0) > heads.get(writer, 0):
            what = f"its pages stand in segments up to {found.get(writer, 0)}, and not up to {positions.get(writer, 0)}"
            findings.append(AuditFinding(writer, found.get(writer, 0), what))


def _segment_fault(segment: Segment, number: int, found: dict[str, int], sealed: SealedLog) -> str:
    if segment.number != number:
        return f"segments {number} to {segment.number - 1} are missing"
    if sealed.segments.get(number, segment.hash) != segment.hash:
        return f"segment {number} is not the one that its month was sealed with"
    for one in segment.ranges:
        if one.after != found.get(one.writer, 0) or one.until <= one.after:
            return f"segment {number} does not go on where the pages of {one.writer} ended"
    return ""


def _linking_index(keyring: Keyring, segment: Segment, before: bytes, least: int) -> int | None:
    """Return which index linked a segment, as its position, not one before `least`; None if none did."""
    for place in keyring.hashes.positions()[least:]:
        expected = segment_hash(segment, before, partial(keyring.hashes.link_of, place))
        if hmac.compare_digest(expected, segment.hash):
            return place
    return None
