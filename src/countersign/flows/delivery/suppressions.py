"""Suppressions: an address that does not exist, or whose owner complained, gets no mail until it expires or an operator lifts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.delivery.delivery import Delivery, Reason, Receipt
from countersign.domain.delivery.notice import NOTICE_PREFIX, Notice
from countersign.domain.delivery.suppression import Suppression, is_superseded_by, lift, new_suppression
from countersign.domain.shared.contact import Channel, Contact
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Challenge
from countersign.errors import CountersignError
from countersign.store.engine.database import Append, Take, Write
from countersign.store.tables import challenges, deliveries, notices, suppressions
from countersign.store.tables.schema import DELIVERIES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from countersign.keys import Keyring
    from countersign.store.engine.database import Database
    from countersign.store.ledger.event_log import Log

MAX_LISTED: Final = 10_000
"""Suppressions that a list shows."""


class FailedAddress(msgspec.Struct, frozen=True):
    """A message that failed because of its address: which one, why, and which provider reported it."""

    owner: str
    number: int
    reason: Reason
    provider: str


async def owner_of(owner_id: str) -> Challenge | Notice | None:
    """Return the challenge or notice with this id, or None."""
    if owner_id.startswith(NOTICE_PREFIX):
        return await notices.find(owner_id)
    return await challenges.find(owner_id)


def contact_of(keyring: Keyring, owner: Challenge | Notice) -> Contact:
    """Return the recipient of a message. Raises SettingsError or UnavailableError if the keys do not open the contact."""
    if isinstance(owner, Notice):
        return Contact(owner.to_kind, keyring.unseal(owner.to, owner.id))
    terms = owner.terms
    return Contact(terms.to_kind, keyring.named(terms.sealing_kid).unseal(terms.to, owner.id.encode()).decode())


def suppression_key(keyring: Keyring, contact: Contact) -> bytes:
    """Return the keyed hash that finds the suppression of a contact."""
    return keyring.blind_index("suppressed", contact.address)


async def suppress(database: Database, log: Log, keyring: Keyring, failed: FailedAddress, now: int) -> bool:
    """Suppress the address of a failed message. Returns True if the suppression is new. Doing so twice does no harm.

    Messages of test applications suppress nothing. They only reach the inbox.
    """
    return await log.run(database, _suppress, keyring, failed, now)


async def suppress_by_receipt(database: Database, log: Log, keyring: Keyring, receipt: Receipt, now: int) -> bool:
    """Suppress the address of a receipt that reports a missing mailbox or a complaint. Returns True if the suppression is new."""
    if not receipt.complained and receipt.reason is not Reason.UNKNOWN_RECIPIENT:
        return False
    reason = Reason.BLOCKED if receipt.complained else Reason.UNKNOWN_RECIPIENT
    found = await database.read(deliveries.find_attempt, receipt.provider, receipt.provider_message_id)
    if found is None:
        return False
    return await suppress(
        database, log, keyring, FailedAddress(found.owner, found.number, reason, receipt.provider), now
    )


async def _suppress(keyring: Keyring, failed: FailedAddress, now: int) -> bool:
    rows = await Take(DELIVERIES, [(failed.owner, failed.number)])
    owner = await owner_of(failed.owner)
    if not rows or owner is None or (isinstance(owner, Challenge) and not owner.terms.live):
        return False
    delivery = deliveries.from_row(rows[0])
    if delivery.channel is not Channel.EMAIL:
        return False
    contact = contact_of(keyring, owner)
    key = suppression_key(keyring, contact)
    before = await suppressions.lock(key)
    after = new_suppression(key, contact.masked, failed.reason, failed.provider, now)
    if not is_superseded_by(before, after, delivery.created_at):
        return False
    facts: dict[str, str | int] = {
        "to": after.masked,
        "reason": after.reason.value,
        "provider": after.provider,
        "until": after.until,
    }
    event = Event(now, EventKind.ADDRESS_SUPPRESSED, owner.application, owner.id, facts)
    await Append([event])
    await Write(suppressions.upsert(after), last=True)
    return True


async def find_suppressed(
    keyring: Keyring, due: Sequence[tuple[Delivery, Challenge | Notice | None]], now: int
) -> dict[tuple[str, int], Reason]:
    """Return the messages whose address is suppressed, by owner and number, with the reason."""
    keys: dict[tuple[str, int], bytes] = {}
    for delivery, owner in due:
        if delivery.channel is not Channel.EMAIL or owner is None:
            continue
        if isinstance(owner, Challenge) and not owner.terms.live:
            continue
        try:
            keys[delivery.owner, delivery.number] = suppression_key(keyring, contact_of(keyring, owner))
        except CountersignError:  # composing the message fails too, and reports it
            continue
    found = await suppressions.find_by_keys(list(keys.values()))
    active = {key: one.reason for key, one in found.items() if one.is_active(now)}
    return {message: active[key] for message, key in keys.items() if key in active}


async def list_suppressions(database: Database, now: int) -> list[Suppression]:
    """Return the active suppressions, newest first, at most MAX_LISTED."""
    return await database.read(suppressions.list_active, now, MAX_LISTED)


async def find_suppression(database: Database, keyring: Keyring, contact: Contact) -> Suppression | None:
    """Return the suppression of a contact, also a lifted or expired one, or None."""
    return await database.read(suppressions.find, suppression_key(keyring, contact))


async def lift_suppression(
    database: Database, log: Log, keyring: Keyring, contact: Contact, clock: Callable[[], int]
) -> Suppression | None:
    """Lift the suppression of a contact. Returns None if none is active."""
    return await log.run(database, _lift, suppression_key(keyring, contact), clock())


async def _lift(key: bytes, now: int) -> Suppression | None:
    before = await suppressions.lock(key)
    if before is None or not before.is_active(now):
        return None
    after = lift(before, now)
    await Append([Event(now, EventKind.ADDRESS_LIFTED, "", "", {"to": after.masked})])
    await Write(suppressions.upsert(after), last=True)
    return after
