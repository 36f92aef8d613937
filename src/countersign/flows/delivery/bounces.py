"""Take a bounce: a mail that came back counts where it arrived at the address that only its own message was sent with."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from countersign.domain.delivery.delivery import Delivery, Reason, Receipt, ReceiptState
from countersign.domain.shared.contact import parse
from countersign.errors import InputError, SettingsError, UnavailableError
from countersign.flows.delivery.context import DeliveryContext
from countersign.flows.delivery.receipts import record_receipt
from countersign.flows.delivery.suppressions import contact_of, owner_of
from countersign.providers.email import dsn, verp
from countersign.store.tables import deliveries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.domain.delivery.notice import Notice
    from countersign.domain.shared.contact import Contact
    from countersign.domain.verifications.challenge import Challenge
    from countersign.keys import Keyring
    from countersign.providers.email.bounce_mailbox import BounceMailbox, MailboxMessage

COLLECT_EVERY: Final = 60.0
"""Seconds between two looks into the mailbox: who waits for a code is helped by a bounce within its lifetime."""

_log = structlog.get_logger("countersign.bounces")


class BounceVerdict(StrEnum):
    """What a mail turned out to be."""

    NO_BOUNCE = "no_bounce"
    NOT_OURS = "not_ours"
    NOTHING_NEW = "nothing_new"
    TAKEN = "taken"


class _Sent(msgspec.Struct, frozen=True):
    delivery: Delivery
    owner: Challenge | Notice
    provider: str
    provider_message_id: str


def mark_of(keyring: Keyring) -> verp.Mark:
    """Return what addresses for bounces are marked with: the secret that never rotates, for a mail may come back after days."""
    return lambda key: keyring.blind_index("bounce", key)


async def take_bounce(post: DeliveryContext, raw: bytes, address: str = "") -> BounceVerdict:
    """Take a mail that may be a bounce; `address` is where it arrived, if that is known from elsewhere than its headers.

    Raises UnavailableError where the mail must be offered again. Whatever else is wrong with it, it is no bounce of ours.
    """
    bounce = dsn.parse_bounce(raw)
    if bounce is None:
        return BounceVerdict.NO_BOUNCE
    mark = mark_of(post.keyring)
    keys = (verp.read_return_path(one, mark) for one in (address, *bounce.arrived_at) if one)
    key = next((key for key in keys if key is not None), None)
    if key is None:
        _log.info("bounce_not_ours")
        return BounceVerdict.NOT_OURS
    owner, number, leg = key.split(".")
    sent = await post.database.read(_sent, owner, int(number), int(leg))
    if sent is None:
        _log.info("bounce_not_ours", delivery=key)
        return BounceVerdict.NOT_OURS
    receipt = _receipt(post.keyring, sent, bounce.recipients)
    if receipt is None or not await record_receipt(post, receipt):
        return BounceVerdict.NOTHING_NEW
    post.database.notify()  # another provider may have its turn now
    _log.info("bounce_taken", delivery=key, provider=sent.provider, state=receipt.state, reason=receipt.reason)
    return BounceVerdict.TAKEN


async def _sent(owner_id: str, number: int, leg: int) -> _Sent | None:
    """Return the message that was sent under a key, by whom, and the id that its receipts are found by."""
    found = await deliveries.list_by_owner(owner_id)
    delivery = next((one for one in found if one.number == number), None)
    owner = await owner_of(owner_id)
    if delivery is None or owner is None or leg >= len(delivery.route):
        return None
    provider = delivery.route[leg]
    tries = await deliveries.list_attempts(owner_id)
    ids = [one.provider_message_id for one in tries if one.number == number and one.provider == provider]
    known = next((id_ for id_ in reversed(ids) if id_), "")
    return _Sent(delivery, owner, provider, known) if known else None


def _receipt(keyring: Keyring, sent: _Sent, recipients: Sequence[dsn.FailedRecipient]) -> Receipt | None:
    """Return what a bounce says of our one recipient; None where it says nothing that is final.

    A mailbox that forwards sends back what a stranger's mailbox said. Then our message has not come, but the address that we know
    is there: only where the bounce names that very address is it believed to be unknown.
    """
    try:
        contact = contact_of(keyring, sent.owner)
    except SettingsError:  # sealed under keys of another installation
        return None
    own = [one for one in recipients if any(_is(contact, address) for address in one.addresses)]
    about = own or recipients
    told = next((one for one in about if one.reason is not None), about[0])
    if told.action is dsn.Action.DELIVERED and own:
        return Receipt(sent.provider, sent.provider_message_id, ReceiptState.DELIVERED)
    if told.action is not dsn.Action.FAILED or told.reason is None:
        return None
    reason = told.reason if own else Reason.REFUSED
    return Receipt(sent.provider, sent.provider_message_id, ReceiptState.UNDELIVERED, reason)


def _is(contact: Contact, address: str) -> bool:
    try:
        return parse(address).address == contact.address
    except InputError:
        return False


async def collect(post: DeliveryContext, mailbox: BounceMailbox) -> int:
    """Take what lies in a mailbox; return how many bounces counted. A mail that was not taken stays unseen, for the next time."""
    mails = await mailbox.fetch_unseen()
    done: list[MailboxMessage] = []
    counted = 0
    try:
        for mail in mails:
            counted += await take_bounce(post, mail.raw) is BounceVerdict.TAKEN
            done.append(mail)
    finally:
        await mailbox.mark_read(done)
    return counted


async def keep_collecting(post: DeliveryContext, mailbox: BounceMailbox, every: float = COLLECT_EVERY) -> None:
    """Take what comes to a mailbox for as long as the process runs; two that do so at once do it once."""
    while True:
        try:
            await collect(post, mailbox)
        except UnavailableError as error:
            _log.warning("cannot_collect", detail=str(error))
        except Exception as error:  # noqa: BLE001 - one mail must not end the reading of all others
            _log.error("collecting_broke", error=type(error).__name__)
        await asyncio.sleep(every)
