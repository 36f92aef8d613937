"""Audit the event log: sign checkpoints of its chains, and find any page that was changed, removed or cut off.

What each measure detects:

- The keyed hash that links a page to the next one detects a page that was changed, removed or inserted.
- The sealed head of a writer detects a chain that was cut at its end.
- A later checkpoint detects a writer that was removed entirely, and a head that was set back together with its chain.
- A checkpoint that was stored elsewhere (`countersign events verify --checkpoint FILE`) detects that checkpoints were removed.
- A signed drop, and nothing else, lets a chain begin later than at its first page: after the pages of the months that were dropped.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Final

import msgspec

from countersign.domain.shared.event import FIRST_HASH
from countersign.errors import UnavailableError
from countersign.flows.maintenance.audit_order import SealedLog, judge_order, judge_seals
from countersign.flows.maintenance.audit_report import AuditFinding, AuditReport
from countersign.flows.maintenance.seal_record import hash_text, read_record, record_digest
from countersign.keys import Keyring
from countersign.store.engine.database import ConflictError, Database, Row
from countersign.store.ledger import event_log
from countersign.store.ledger.event_log import Link
from countersign.store.tables import applications, checkpoints, event_seals, events
from countersign.store.tables.event_seals import SealRow
from countersign.store.tables.events import Head

if TYPE_CHECKING:
    from countersign.flows.context import CoreContext


_CHECKPOINT_TRIES: Final = 10


class Checkpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """The claims of a checkpoint: the digest of the previous one, and the heads of the chains that have grown since.

    `seal` is the newest seal record, by its number and digest.
    """

    number: int
    at: int
    before: str
    heads: dict[str, tuple[int, str]]
    seal: tuple[int, str] | None = None


class _Promises(msgspec.Struct, frozen=True):
    """What checkpoints say: the hashes of pages by writer and page, and the digests of seal records by number."""

    pages: dict[str, dict[int, str]] = {}
    seals: dict[int, str] = {}
    kept: Checkpoint | None = None


async def write_checkpoint(core: CoreContext, known: dict[str, int]) -> str | None:
    """Sign the current end of every chain. Returns the checkpoint, or None if nothing was added since the last one.

    `known` maps each writer to the page that the caller's last checkpoint holds. This function updates it.
    """
    return await sign_checkpoint(core.database, core.keyring, core.now(), known)


async def sign_checkpoint(database: Database, keyring: Keyring, at: int, known: dict[str, int]) -> str | None:
    """Do what `write_checkpoint` does at `at` (ms)."""
    last, heads, newest_seal = await database.read(_read_ends)
    number, signed = last or (0, "")
    moved = [head for head, _ in heads if known.get(head.writer) != head.seq]
    if not moved:
        return None
    ends = {head.writer: (head.seq, hash_text(head.hash)) for head in moved}
    before = checkpoint_digest(signed) if signed else ""
    checkpoint = Checkpoint(number + 1, at, before, ends, _seal_to_name(keyring, newest_seal, signed))
    signed = keyring.primary.sign(msgspec.to_builtins(checkpoint))
    try:
        await database.run(checkpoints.add, number + 1, at, signed)
    except ConflictError:  # another process was faster; the next checkpoint covers what is new
        return None
    known.update({head.writer: head.seq for head in moved})
    return signed


async def verify_events(database: Database, keyring: Keyring, kept: str | None = None) -> AuditReport:
    """Verify every chain and every checkpoint in one snapshot. `kept` is a checkpoint that was stored elsewhere."""
    return await database.read(_verify, keyring, kept)


async def hold_log(database: Database, keyring: Keyring, at: int) -> None:
    """Sign a checkpoint of all chains with the active key, so that what earlier keys linked and signed is held by it.

    Raises UnavailableError if other programs are always faster.
    """
    for _ in range(_CHECKPOINT_TRIES):
        if await sign_checkpoint(database, keyring, at, {}) is not None:
            return
        if not await database.read(events.list_heads):
            return
    raise UnavailableError("Other programs sign checkpoints all the time. Try again.")


def checkpoint_digest(signed: str) -> str:
    """Return the digest by which a checkpoint names its predecessor: SHA-256 in base64url."""
    return record_digest(signed)


async def _read_ends() -> tuple[tuple[int, str] | None, list[tuple[Head, bytes]], SealRow | None]:
    last = await checkpoints.find_last()
    heads = await events.list_heads()
    return last, heads, await event_seals.find_last()


def _seal_to_name(keyring: Keyring, newest: SealRow | None, last_checkpoint: str) -> tuple[int, str] | None:
    """Return the seal record that the next checkpoint names: the newest, unless a retired key signed it; then the one named before.

    Otherwise we would vouch for what somebody made with a key that leaked.
    """
    if newest is not None:
        claims, is_live = keyring.verified_checkpoint(newest.signed)
        if is_live and read_record(claims) is not None:
            return newest.number, record_digest(newest.signed)
    return newest_named_seal(keyring, last_checkpoint) if last_checkpoint else None


def newest_named_seal(keyring: Keyring, signed: str) -> tuple[int, str] | None:
    """Return the number and the digest of the seal record that a checkpoint names, or None."""
    checkpoint = _read(keyring.verified_checkpoint(signed)[0])
    return None if checkpoint is None else checkpoint.seal


async def _verify(keyring: Keyring, kept: str | None) -> AuditReport:
    findings: list[AuditFinding] = []
    stored = await checkpoints.list_all()
    promises = _promises(keyring, stored, kept, findings)
    sealed = await judge_seals(keyring, promises.seals, findings)
    promised = _still_there(promises.pages, sealed, findings)
    heads = {head.writer: (head, mac) for head, mac in (await events.list_heads())}
    seen = await events.list_writers()
    entries = 0
    writers = sorted({*heads, *seen, *promised, *sealed.starts})
    for writer in writers:
        start = sealed.starts.get(writer, (0, FIRST_HASH))
        entries += await _walk(keyring, writer, heads.get(writer), promised.get(writer, {}), start, findings)
    await judge_order(keyring, sealed, {writer: head.seq for writer, (head, _) in heads.items()}, findings)
    if not writers and (await applications.count_all()):
        findings.append(
            AuditFinding("", 0, "the log is empty, though it must tell of the applications that were added")
        )
    return AuditReport(
        entries,
        len(writers),
        len(stored),
        tuple(findings),
        stored[-1][1] if stored else "",
        sealed_until=sealed.sealed_until,
        dropped_until=sealed.dropped_until,
        remarks=_remarks(promises.kept, sealed),
    )


def _still_there(
    pages: dict[str, dict[int, str]], sealed: SealedLog, findings: list[AuditFinding]
) -> dict[str, dict[int, str]]:
    """Return what checkpoints and seals promise of pages that were not dropped; of dropped ones, the last of each chain can be compared."""
    promised: dict[str, dict[int, str]] = {}
    for source in (pages, sealed.promised):
        for writer, hashes in source.items():
            start, start_hash = sealed.starts.get(writer, (0, FIRST_HASH))
            if hashes.get(start, hash_text(start_hash)) != hash_text(start_hash):
                what = "the page before the dropped ones end is not the one that a checkpoint signed"
                findings.append(AuditFinding(writer, start, what))
            promised.setdefault(writer, {}).update({seq: one for seq, one in hashes.items() if seq > start})
    return promised


def _remarks(kept: Checkpoint | None, sealed: SealedLog) -> tuple[str, ...]:
    if kept is None or not kept.heads or not sealed.dropped_until:
        return ()
    if any(seq > sealed.starts.get(writer, (0, b""))[0] for writer, (seq, _) in kept.heads.items()):
        return ()
    remark = (
        f"Checkpoint {kept.number}, which was kept, is older than the cut: all events that it covers were dropped with the months up to"
        f" {sealed.dropped_until}. It says nothing about the events that are left. Keep a newer one."
    )
    return (remark,)


async def _walk(
    keyring: Keyring,
    writer: str,
    head: tuple[Head, bytes] | None,
    promised: dict[int, str],
    start: tuple[int, bytes],
    findings: list[AuditFinding],
) -> int:
    """Follow one chain from its start, and return the number of its events. Only the first break is reported, as the rest depends on it.

    `start` is the last page that was dropped, and its hash; (0, FIRST_HASH) for a chain that is whole.
    """
    seq, before = start
    broken, entries = False, 0
    index = keyring.hashes.positions().start
    unpinned = 0
    unmet = dict(promised)
    while rows := (await events.list_pages_after(writer, seq)):
        for row in rows:
            hash_ = bytes(row[4])
            if not broken and row[0] != seq + 1:
                findings.append(AuditFinding(writer, seq + 1, f"pages {seq + 1} to {row[0] - 1} are missing"))
                broken = True
            linked_by = _linking_index(keyring, writer, row, before, index)
            if linked_by is not None:
                index = linked_by
                unpinned = unpinned if keyring.hashes.is_open(index) else row[0]
            if not broken and linked_by is None:
                findings.append(AuditFinding(writer, row[0], "the page, or the one before it, is not what was written"))
                broken = True
            seq, before, entries = row[0], hash_, entries + row[2]
            promise = unmet.pop(seq, None)
            if promise is not None and promise != hash_text(before):
                findings.append(AuditFinding(writer, seq, "the page is not the one that a checkpoint signed"))
    if unmet:
        findings.append(
            AuditFinding(
                writer, seq + 1, f"pages up to {max(unmet)} were there when a checkpoint was signed, and are not now"
            )
        )
    if unpinned > max(promised, default=0):
        what = f"page {unpinned} is linked by an index that was replaced, and no checkpoint holds it"
        findings.append(AuditFinding(writer, unpinned, what))
    findings += _judge_head(keyring, writer, head, (seq, before), index)
    return entries


def _judge_head(
    keyring: Keyring, writer: str, head: tuple[Head, bytes] | None, end: tuple[int, bytes], index: int
) -> list[AuditFinding]:
    """Compare the head of a chain with its end, whose last page the index at this position linked."""
    if head is None:
        return [AuditFinding(writer, end[0], "the head of the chain is missing")]
    if not _is_head(keyring, head[0], head[1], index):
        return [AuditFinding(writer, head[0].seq, "the head of the chain is not what was written")]
    if (head[0].seq, head[0].hash) != end:
        what = f"the chain ends at page {end[0]}, and was written up to page {head[0].seq}"
        return [AuditFinding(writer, end[0], what)]
    return []


def _linking_index(keyring: Keyring, writer: str, row: Row, before: bytes, least: int) -> int | None:
    """Return which index linked a page, as its position: not one before `least`, which linked the page before it. None if none did."""
    for place in keyring.hashes.positions()[least:]:
        expected = event_log.page_hash(writer, row, before, _link_of(keyring, place))
        if hmac.compare_digest(expected, bytes(row[4])):
            return place
    return None


def _is_head(keyring: Keyring, head: Head, mac: bytes, least: int) -> bool:
    return any(
        hmac.compare_digest(event_log.head_mac(head, _link_of(keyring, place)), mac)
        for place in keyring.hashes.positions()[least:]
    )


def _link_of(keyring: Keyring, place: int) -> Link:
    return lambda entry: keyring.hashes.link_of(place, entry)


def _promises(
    keyring: Keyring, stored: list[tuple[int, str]], kept: str | None, findings: list[AuditFinding]
) -> _Promises:
    """Return what checkpoints signed. Invalid checkpoints are added to `findings`."""
    promises = _Promises({}, {})
    before, count, is_live = "", 0, True
    for number, signed in stored:
        count += 1
        claims, is_live = keyring.verified_checkpoint(signed)
        checkpoint = _read(claims)
        if checkpoint is None or checkpoint.number != number:
            findings.append(AuditFinding("", number, f"checkpoint {number} is not what was signed"))
        elif number != count:
            findings.append(AuditFinding("", count, f"checkpoints {count} to {number - 1} are missing"))
        elif checkpoint.before != before:
            findings.append(AuditFinding("", number, f"checkpoint {number} does not follow the one before it"))
        if checkpoint is not None:
            _add(promises, checkpoint)
        before, count = checkpoint_digest(signed), number
    if stored and not is_live:
        # What retired keys signed counts because a later checkpoint names it; nothing names the last one.
        findings.append(AuditFinding("", stored[-1][0], "the last checkpoint is signed by a key that was retired"))
    if kept is not None:
        claims, is_live = keyring.verified_checkpoint(kept.strip())
        checkpoint = _read(claims) if is_live or any(signed == kept.strip() for _, signed in stored) else None
        if checkpoint is None:
            findings.append(AuditFinding("", 0, "the checkpoint that was kept is not one that these keys signed"))
        else:
            _add(promises, checkpoint)
            promises = msgspec.structs.replace(promises, kept=checkpoint)
            if (checkpoint.number, kept.strip()) not in stored:
                findings.append(
                    AuditFinding(
                        "", checkpoint.number, f"checkpoint {checkpoint.number}, which was kept, is not in the log"
                    )
                )
    return promises


def _add(promises: _Promises, checkpoint: Checkpoint) -> None:
    for writer, (seq, hash_) in checkpoint.heads.items():
        promises.pages.setdefault(writer, {})[seq] = hash_
    if checkpoint.seal is not None:
        promises.seals[checkpoint.seal[0]] = checkpoint.seal[1]


def _read(claims: dict[str, Any] | None) -> Checkpoint | None:
    if claims is None:
        return None
    try:
        return msgspec.convert(claims, Checkpoint)
    except msgspec.ValidationError:
        return None
