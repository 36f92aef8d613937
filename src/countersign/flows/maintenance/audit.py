"""Audit the event log: sign checkpoints of its chains, and find any page that was changed, removed or cut off.

What each measure detects:

- The keyed hash that links a page to the next one detects a page that was changed, removed or inserted.
- The sealed head of a writer detects a chain that was cut at its end.
- A later checkpoint detects a writer that was removed entirely, and a head that was set back together with its chain.
- A checkpoint that was stored elsewhere (`countersign events verify --checkpoint FILE`) detects that checkpoints were removed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

import msgspec

from countersign.domain.shared.event import FIRST_HASH
from countersign.errors import UnavailableError
from countersign.keys import Keyring
from countersign.store.engine.database import ConflictError, Database, Row
from countersign.store.ledger import event_log
from countersign.store.ledger.event_log import Link
from countersign.store.tables import applications, checkpoints, events
from countersign.store.tables.events import Head

if TYPE_CHECKING:
    from countersign.flows.context import CoreContext


_CHECKPOINT_TRIES: Final = 10


class AuditFinding(msgspec.Struct, frozen=True):
    """A difference from what was written: in which chain, from which page on, and what."""

    writer: str
    seq: int
    what: str


class AuditReport(msgspec.Struct, frozen=True):
    """The result of a verification. Store `last_checkpoint` elsewhere for the next one."""

    entries: int
    writers: int
    checkpoints: int
    findings: tuple[AuditFinding, ...]
    last_checkpoint: str


class Checkpoint(msgspec.Struct, frozen=True):
    """The claims of a checkpoint: the digest of the previous one, and the heads of the chains that have grown since."""

    number: int
    at: int
    before: str
    heads: dict[str, tuple[int, str]]


async def write_checkpoint(core: CoreContext, known: dict[str, int]) -> str | None:
    """Sign the current end of every chain. Returns the checkpoint, or None if nothing was added since the last one.

    `known` maps each writer to the page that the caller's last checkpoint holds. This function updates it.
    """
    return await sign_checkpoint(core.database, core.keyring, core.now(), known)


async def sign_checkpoint(database: Database, keyring: Keyring, at: int, known: dict[str, int]) -> str | None:
    """Do what `write_checkpoint` does at `at` (ms)."""
    last, heads = await database.read(_read_ends)
    number, signed = last or (0, "")
    moved = [head for head, _ in heads if known.get(head.writer) != head.seq]
    if not moved:
        return None
    ends = {head.writer: (head.seq, _text(head.hash)) for head in moved}
    checkpoint = Checkpoint(number + 1, at, checkpoint_digest(signed) if signed else "", ends)
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
    return _text(hashlib.sha256(signed.encode()).digest())


async def _read_ends() -> tuple[tuple[int, str] | None, list[tuple[Head, bytes]]]:
    last = await checkpoints.find_last()
    heads = await events.list_heads()
    return last, heads


async def _verify(keyring: Keyring, kept: str | None) -> AuditReport:
    findings: list[AuditFinding] = []
    stored = await checkpoints.list_all()
    promised = _promises(keyring, stored, kept, findings)
    heads = {head.writer: (head, mac) for head, mac in (await events.list_heads())}
    seen = await events.list_writers()
    entries = 0
    writers = sorted({*heads, *seen, *promised})
    for writer in writers:
        entries += await _walk(keyring, writer, heads.get(writer), promised.get(writer, {}), findings)
    if not writers and (await applications.count_all()):
        findings.append(
            AuditFinding("", 0, "the log is empty, though it must tell of the applications that were added")
        )
    return AuditReport(entries, len(writers), len(stored), tuple(findings), stored[-1][1] if stored else "")


async def _walk(
    keyring: Keyring,
    writer: str,
    head: tuple[Head, bytes] | None,
    promised: dict[int, str],
    findings: list[AuditFinding],
) -> int:
    """Follow one chain from its start, and return the number of its events. Only the first break is reported, as the rest depends on it."""
    seq, before, broken, entries = 0, FIRST_HASH, False, 0
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
            if promise is not None and promise != _text(before):
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
) -> dict[str, dict[int, str]]:
    """Return the page hashes that checkpoints signed, by writer and page. Invalid checkpoints are added to `findings`."""
    promised: dict[str, dict[int, str]] = {}
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
            _add(promised, checkpoint)
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
            _add(promised, checkpoint)
            if (checkpoint.number, kept.strip()) not in stored:
                findings.append(
                    AuditFinding(
                        "", checkpoint.number, f"checkpoint {checkpoint.number}, which was kept, is not in the log"
                    )
                )
    return promised


def _add(promised: dict[str, dict[int, str]], checkpoint: Checkpoint) -> None:
    for writer, (seq, hash_) in checkpoint.heads.items():
        promised.setdefault(writer, {})[seq] = hash_


def _read(claims: dict[str, Any] | None) -> Checkpoint | None:
    if claims is None:
        return None
    try:
        return msgspec.convert(claims, Checkpoint)
    except msgspec.ValidationError:
        return None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
