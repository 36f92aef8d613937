"""An event: one thing that happened, as the log keeps it for good."""

from __future__ import annotations

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
    APPLICATION_ADDED = "application.added"
    APPLICATION_ROTATED = "application.rotated"
    APPLICATION_REMOVED = "application.removed"
    KEYS_ROTATED = "keys.rotated"


class Event(msgspec.Struct, frozen=True):
    """What happened (`kind`), when (ms), in which application, to which record, and a few facts.

    Facts never hold a code, a contact or an address: names of states, counts, masked destinations.
    """

    at: int
    kind: EventKind
    application: str
    owner: str
    facts: dict[str, str | int] = {}


START: Final = b"\x00" * 32
"""What the first entry of a writer is linked to."""

_FACTS: Final = msgspec.json.Encoder(order="deterministic")


def written_facts(event: Event) -> str:
    """Return the facts as they are stored and linked: JSON with sorted keys."""
    return _FACTS.encode(event.facts).decode() if event.facts else "{}"


def linked_bytes(before: bytes, writer: str, seq: int, at: int, kind: str, application: str, owner: str, facts: str) -> bytes:  # noqa: PLR0913 - the columns
    """Return what an entry's hash is taken over: the hash before it, then every field, each ended by NUL."""
    return before + f"{writer}\0{seq}\0{at}\0{kind}\0{application}\0{owner}\0{facts}\0".encode("utf-8", "surrogatepass")
