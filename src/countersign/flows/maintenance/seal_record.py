"""Seal records: what is signed when a month of the event log is over, and when it is dropped; each names the one before it."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from countersign.store.tables.event_seals import SealRow

if TYPE_CHECKING:
    from countersign.keys import Keyring


class SealRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The claims of a seal or of a drop.

    `segment` and `segment_hash` are the last segment of the month. `heads` are the chains that grew in it: the last page of each, and its
    hash. `before` is the digest of the record before. A drop names the `seal` of its month, and by whom or what it was made.
    """

    # A checkpoint has "heads": no record can be passed off as one.
    number: int
    kind: str
    month: str
    at: int
    before: str
    segment: int
    segment_hash: str
    heads: dict[str, tuple[int, str]] = msgspec.field(name="chains", default_factory=dict)
    pages: int = 0
    events: int = 0
    seal: int = 0
    by: str = ""


def sign_record(keyring: Keyring, record: SealRecord) -> SealRow:
    """Return the row of a record, signed with the active key."""
    signed = keyring.primary.sign(msgspec.to_builtins(record))
    return SealRow(record.number, record.kind, record.month, record.segment, record.at, signed)


def read_record(claims: dict[str, Any] | None) -> SealRecord | None:
    """Return the record that verified claims hold, or None."""
    if claims is None:
        return None
    try:
        return msgspec.convert(claims, SealRecord)
    except msgspec.ValidationError:
        return None


def record_digest(signed: str) -> str:
    """Return the digest by which a record, or a checkpoint, names another one: SHA-256 in base64url."""
    return hash_text(hashlib.sha256(signed.encode()).digest())


def hash_text(raw: bytes) -> str:
    """Return a hash as records and checkpoints hold it: base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def hash_bytes(text: str) -> bytes:
    """Return the hash that `hash_text` wrote. Raises ValueError for another text."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
