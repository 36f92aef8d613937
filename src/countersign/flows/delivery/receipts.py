"""Receive: a provider's later word moves a message on, and teaches how soon its receipts come."""

from __future__ import annotations

import msgspec

from countersign.domain.delivery import delivery as rules_of
from countersign.domain.delivery.delivery import Receipt, ReceiptState
from countersign.domain.delivery.latency import ProviderKey, ProviderStats, bucket
from countersign.flows.delivery.context import DeliveryContext
from countersign.flows.delivery.events import delivery_event
from countersign.flows.delivery.suppressions import suppress_by_receipt
from countersign.store.engine.database import Append, Take, Update, Write
from countersign.store.tables import challenges, deliveries
from countersign.store.tables.schema import DELIVERIES


class _Heard(msgspec.Struct, frozen=True):
    """What a receipt did: whether its message is known, and what it teaches of the provider that sent it."""

    known: bool
    where: ProviderKey | None = None
    lesson: ProviderStats = ProviderStats()


async def record_receipt(context: DeliveryContext, receipt: Receipt) -> bool:
    """Move a message on by a provider's later word; False if no message is known by that id (yet: a receipt can outrun our record)."""
    heard = await context.receipts.run(context.database, _receive, receipt, context.now())
    if heard.where is not None:
        context.stats.note(heard.where, heard.lesson)
    if heard.known:
        await suppress_by_receipt(context.database, context.receipts, context.keyring, receipt, context.now())
    return heard.known


async def _receive(receipt: Receipt, now: int) -> _Heard:
    attempt = await deliveries.by_provider_message(receipt.provider, receipt.provider_message_id)
    if attempt is None:
        return _Heard(known=False)
    rows = await Take(DELIVERIES, [(attempt.owner, attempt.number)])
    current = deliveries.of_row(rows[0])
    moved = rules_of.after_receipt(current, receipt, now)
    if moved is current:
        return _Heard(known=True)
    owner = await challenges.find(current.owner)
    await Append([delivery_event(moved, owner.application if owner else "", now, provider=receipt.provider)])
    await Write((Update(DELIVERIES, [deliveries.changed_row(moved)]),), last=True)
    if receipt.state is ReceiptState.DELIVERED:
        lesson = ProviderStats(delivered=1, receipts={bucket(now - attempt.ended_at): 1})
    else:
        lesson = ProviderStats(undelivered=1)
    return _Heard(True, ProviderKey(receipt.provider, current.channel, current.region.country), lesson)
