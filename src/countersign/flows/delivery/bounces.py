"""Bounces: record a returned mail if it arrived at the return path that only messages of its own owner were sent with."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from countersign.domain.delivery.delivery import Delivery, Reason, Receipt, ReceiptState
from countersign.domain.shared.contact import Channel, parse_contact
from countersign.errors import InputError, SettingsError, UnavailableError
from countersign.flows.delivery.context import DeliveryContext
from countersign.flows.delivery.receipts import record_receipt
from countersign.flows.delivery.suppressions import contact_of, owner_of
from countersign.keys import BLIND_BYTES
from countersign.providers.email import dsn, verp
from countersign.store.tables import deliveries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.domain.delivery.notice import Notice
    from countersign.domain.shared.contact import Contact
    from countersign.domain.verifications.challenge import Challenge
    from countersign.keys import Keyring
    from countersign.providers.email.bounce_mailbox import BounceMailbox, MailboxMessage

POLL_INTERVAL: Final = 60.0
"""Seconds between two reads of the mailbox. A bounce helps a waiting person only within the lifetime of the code."""

_log = structlog.get_logger("countersign.bounces")


class BounceVerdict(StrEnum):
    """The result of recording a mail."""

    NO_BOUNCE = "no_bounce"
    NOT_OURS = "not_ours"
    NOTHING_NEW = "nothing_new"
    TAKEN = "taken"


class _SentMessage(msgspec.Struct, frozen=True):
    delivery: Delivery
    owner: Challenge | Notice
    provider: str
    provider_message_id: str


def bounce_signer(keyring: Keyring) -> verp.Mark:
    """Return the function that signs return paths."""
    return lambda key: keyring.blind_index("bounce", key)[-BLIND_BYTES:]


def _key_of(keyring: Keyring, address: str) -> str | None:
    """Return the key of the message that bounced to `address`. A mail can bounce days later, when another index signs."""
    found = verp.read_return_path(address, bounce_signer(keyring))
    if found is None and keyring.replacing_index:
        found = verp.read_return_path(address, lambda key: _earliest(keyring, keyring.blind_index("bounce", key)))
    return found


def _earliest(keyring: Keyring, mark: bytes) -> bytes:
    return (mark, *keyring.earlier_forms(mark))[-1][-BLIND_BYTES:]


async def record_bounce(context: DeliveryContext, raw: bytes, address: str = "") -> BounceVerdict:
    """Record a mail that may be a bounce. `address` is its recipient, if that is known from elsewhere than its headers.

    Raises UnavailableError if the mail must be offered again. A mail that is malformed in any way is not a bounce of ours.
    """
    bounce = dsn.parse_bounce(raw)
    if bounce is None:
        return BounceVerdict.NO_BOUNCE
    keys = (_key_of(context.keyring, one) for one in (address, *bounce.arrived_at) if one)
    key = next((key for key in keys if key is not None), None)
    if key is None:
        _log.info("bounce_not_ours")
        return BounceVerdict.NOT_OURS
    sent = await context.database.read(_find_sent, *_named(key, bounce))
    if sent is None:
        _log.info("bounce_not_ours", delivery=key)
        return BounceVerdict.NOT_OURS
    receipt = _receipt(context.keyring, sent, bounce.recipients)
    if receipt is None or not await record_receipt(context, receipt):
        return BounceVerdict.NOTHING_NEW
    context.database.notify()  # another provider may be due now
    _log.info("bounce_recorded", delivery=key, provider=sent.provider, state=receipt.state, reason=receipt.reason)
    return BounceVerdict.TAKEN


def _named(key: str, bounce: dsn.Bounce) -> tuple[str, int | None, int]:
    """Return which message a bounce is about: its owner, its number (None: the last that was sent by mail), its position in the route.

    The owner is signed, the rest is what the bounce says of itself: it chooses among the messages of that owner.
    """
    owner = key.partition(".")[0]
    whole = next((one for one in (key, *bounce.keys) if one.startswith(f"{owner}.")), None)
    if whole is None:
        return owner, None, 0
    _, number, position = whole.split(".")
    return owner, int(number), int(position)


async def _find_sent(owner_id: str, number: int | None, position: int) -> _SentMessage | None:
    """Return the message that was sent under a key, its provider, and the provider's id for it, or None."""
    found = await deliveries.list_by_owner(owner_id)
    if number is None:
        mails = [one for one in found if one.channel is Channel.EMAIL and one.attempts]
        number, position = (mails[-1].number, mails[-1].position) if mails else (0, 0)
    delivery = next((one for one in found if one.number == number), None)
    owner = await owner_of(owner_id)
    if delivery is None or owner is None or position >= len(delivery.route):
        return None
    provider = delivery.route[position]
    attempts = await deliveries.list_attempts(owner_id)
    ids = [one.provider_message_id for one in attempts if one.number == number and one.provider == provider]
    message_id = next((id_ for id_ in reversed(ids) if id_), "")
    return _SentMessage(delivery, owner, provider, message_id) if message_id else None


def _receipt(keyring: Keyring, sent: _SentMessage, recipients: Sequence[dsn.FailedRecipient]) -> Receipt | None:
    """Return the receipt that a bounce stands for, or None if it reports nothing final about our recipient.

    A mailbox that forwards may return what a stranger's mailbox said. The message has then failed, but the address we know exists. Only a
    bounce that names that very address can report it as unknown.
    """
    try:
        contact = contact_of(keyring, sent.owner)
    except SettingsError:  # sealed under the keys of another installation
        return None
    own = [one for one in recipients if any(_is_address_of(contact, address) for address in one.addresses)]
    about = own or recipients
    report = next((one for one in about if one.reason is not None), about[0])
    if report.action is dsn.DsnAction.DELIVERED and own:
        return Receipt(sent.provider, sent.provider_message_id, ReceiptState.DELIVERED)
    if report.action is not dsn.DsnAction.FAILED or report.reason is None:
        return None
    reason = report.reason if own else Reason.REFUSED
    return Receipt(sent.provider, sent.provider_message_id, ReceiptState.UNDELIVERED, reason)


def _is_address_of(contact: Contact, address: str) -> bool:
    try:
        return parse_contact(address).address == contact.address
    except InputError:
        return False


async def collect_bounces(context: DeliveryContext, mailbox: BounceMailbox) -> int:
    """Record the bounces in a mailbox. Returns how many changed a message.

    A mail that could not be recorded stays unseen for the next time.
    """
    mails = await mailbox.fetch_unseen()
    done: list[MailboxMessage] = []
    counted = 0
    try:
        for mail in mails:
            counted += await record_bounce(context, mail.raw) is BounceVerdict.TAKEN
            done.append(mail)
    finally:
        await mailbox.mark_read(done)
    return counted


async def poll_mailbox(context: DeliveryContext, mailbox: BounceMailbox, every: float = POLL_INTERVAL) -> None:
    """Record the bounces of a mailbox every `every` seconds until this task is cancelled. Several processes may do so at once."""
    while True:
        try:
            await collect_bounces(context, mailbox)
        except UnavailableError as error:
            _log.warning("mailbox_failed", detail=str(error))
        except Exception as error:  # noqa: BLE001 - a fault in one mail must not end the reading of the others
            _log.error("mailbox_error", error=type(error).__name__)
        await asyncio.sleep(every)
