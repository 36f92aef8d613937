"""Audit events and their pages. Events that become durable in one transaction form one page of the event log."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec


class EventKind(StrEnum):
    """Every kind of event in the log. The values are part of the public API."""

    CHALLENGE_BEGUN = "challenge.begun"
    CHALLENGE_RESENT = "challenge.resent"
    CHALLENGE_REFUSED = "challenge.refused"
    CHALLENGE_APPROVED = "challenge.approved"
    CHALLENGE_EXHAUSTED = "challenge.exhausted"
    CHALLENGE_CANCELED = "challenge.canceled"
    CHALLENGE_DISOWNED = "challenge.disowned"
    CHALLENGE_EXPIRED = "challenge.expired"
    DELIVERY_ACCEPTED = "delivery.accepted"
    DELIVERY_RETRIED = "delivery.retried"
    DELIVERY_FAILED = "delivery.failed"
    DELIVERY_DROPPED = "delivery.dropped"
    DELIVERY_DELIVERED = "delivery.delivered"
    DELIVERY_UNDELIVERED = "delivery.undelivered"
    PROVIDER_TRIPPED = "provider.tripped"
    PROVIDER_BACK = "provider.back"
    PREFIX_HELD = "prefix.held"
    PREFIX_LIFTED = "prefix.lifted"
    APPLICATION_ADDED = "application.added"
    APPLICATION_ROTATED = "application.rotated"
    APPLICATION_REMOVED = "application.removed"
    APPLICATION_SUSPENDED = "application.suspended"
    APPLICATION_RESUMED = "application.resumed"
    QUEUE_CANCELED = "queue.canceled"
    KEYS_ROTATED = "keys.rotated"
    KEYS_RETIRED = "keys.retired"
    KEYS_RESEALED = "keys.resealed"
    BACKUP_MADE = "backup.made"
    DATABASE_RESTORED = "database.restored"
    ACCOUNT_CREATED = "account.created"
    SIGN_IN_ASSESSED = "sign_in.assessed"
    SIGN_IN_COMPLETED = "sign_in.completed"
    SESSION_RAISED = "session.raised"
    SESSION_ENDED = "session.ended"
    DEVICE_ADDED = "device.added"
    DEVICE_TRUSTED = "device.trusted"
    DEVICE_ENDED = "device.ended"
    MESSAGE_SENT = "message.sent"
    CHANGE_ASKED = "change.asked"
    CHANGE_APPLIED = "change.applied"
    CHANGE_CANCELED = "change.canceled"
    CHANGE_UNDONE = "change.undone"
    FACTOR_USED = "factor.used"
    PASSKEY_REFUSED = "passkey.refused"
    ACCOUNT_LOCKED = "account.locked"
    RECOVERY_ALLOWED = "recovery.allowed"
    ACCOUNT_UPDATED = "account.updated"
    ACCOUNT_EXPORTED = "account.exported"
    ACCOUNT_ERASED = "account.erased"
    DELETION_ASKED = "deletion.asked"
    DELETION_CANCELED = "deletion.canceled"
    ADDRESS_SUPPRESSED = "address.suppressed"
    ADDRESS_LIFTED = "address.lifted"
    MONTH_SEALED = "month.sealed"
    MONTH_DROPPED = "month.dropped"
    EXPORT_CONFIRMED = "export.confirmed"


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One event: when it happened (ms), its kind, the application, the record it is about (`owner`), and a few facts.

    Facts never hold a code, a contact or a network address. They hold states, counts and masked destinations.
    """

    at: int
    kind: EventKind
    application: str
    owner: str
    facts: dict[str, str | int] = {}


class StoredEvent(msgspec.Struct, frozen=True, array_like=True):
    """An event as it is stored. Its kind may be one that only a newer release knows."""

    at: int
    kind: str
    application: str
    owner: str
    facts: dict[str, str | int] = {}


FIRST_HASH: Final = b"\x00" * 32
"""The predecessor hash of the first page of a writer."""

_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decode: Final = msgspec.json.Decoder(list[Event]).decode
_decode_stored: Final = msgspec.json.Decoder(list[StoredEvent]).decode


def encode_page(events: Sequence[Event]) -> str:
    """Return a page as it is stored and hashed: a JSON array of [at, kind, application, owner, facts]."""
    return _encode(events).decode()


def decode_page(page: str) -> list[Event]:
    """Return the events of a page."""
    return _decode(page)


def decode_stored(page: str) -> list[StoredEvent]:
    """Return the events of a page, of kinds too that this release does not know."""
    return _decode_stored(page)


def hash_input(before: bytes, writer: str, seq: int, at: int, count: int, page: str) -> bytes:
    """Return the bytes that a page's hash covers: the predecessor's hash, then every field, each ended by NUL."""
    return before + f"{writer}\0{seq}\0{at}\0{count}\0{page}\0".encode("utf-8", "surrogatepass")
