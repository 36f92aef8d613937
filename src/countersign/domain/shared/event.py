"""An event: one thing that happened, as the log keeps it for good; what becomes durable together makes one page."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec


class EventKind(StrEnum):
    """Everything the log records; the names are part of the public face."""

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
    KEYS_ROTATED = "keys.rotated"
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
    ACCOUNT_LOCKED = "account.locked"
    ADDRESS_SUPPRESSED = "address.suppressed"
    ADDRESS_LIFTED = "address.lifted"


class Event(msgspec.Struct, frozen=True, array_like=True):
    """What happened (`kind`), when (ms), in which application, to which record, and a few facts.

    Facts never hold a code, a contact or an address: names of states, counts, masked destinations.
    """

    at: int
    kind: EventKind
    application: str
    owner: str
    facts: dict[str, str | int] = {}


FIRST_HASH: Final = b"\x00" * 32
"""What the first page of a writer is linked to."""

_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decode: Final = msgspec.json.Decoder(list[Event]).decode


def encode_page(events: Sequence[Event]) -> str:
    """Return a page as it is stored and linked: a JSON array of [at, kind, application, owner, facts]."""
    return _encode(events).decode()


def decode_page(page: str) -> list[Event]:
    """Return the events of a page."""
    return _decode(page)


def hash_input(before: bytes, writer: str, seq: int, at: int, count: int, page: str) -> bytes:
    """Return what a page's hash is taken over: the hash of the page before it, then every field, each ended by NUL."""
    return before + f"{writer}\0{seq}\0{at}\0{count}\0{page}\0".encode("utf-8", "surrogatepass")
