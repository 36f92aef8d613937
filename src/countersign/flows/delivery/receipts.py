"""Receipts: a provider's later report moves a message on and improves the provider's statistics."""

from __future__ import annotations

import msgspec

from countersign.domain.delivery import delivery as delivery_rules
from countersign.domain.delivery.delivery import Receipt, ReceiptState
from countersign.domain.delivery.latency import ProviderKey, ProviderStats, bucket
from countersign.flows.delivery.context import DeliveryContext
from countersign.flows.delivery.events import delivery_event
from countersign.flows.delivery.suppressions import suppress_by_receipt
from countersign.store.engine.database import Append, Take, Write
from countersign.store.tables import challenges, deliveries
from countersign.store.tables.schema import DELIVERIES


class _Recorded(msgspec.Struct, frozen=True):
    """What a receipt did: whether its message is known, and what to add to which provider's statistics."""

    is_known: bool
    provider: ProviderKey | None = None
    stats: ProviderStats = ProviderStats()


async def record_receipt(context: DeliveryContext, receipt: Receipt) -> bool:
    """Record a receipt: the message moves on, and its address is suppressed if the receipt says so. Recording it twice does no harm.

    Returns False if no message has this id at this provider. A receipt can arrive before the id is recorded, so the caller lets the
    provider try again. Raises UnavailableError if the database is down.
    """
    recorded = await context.receipts.run(context.database, _record, receipt, context.now())
    if recorded.provider is not None:
        context.stats.add(recorded.provider, recorded.stats)
    if recorded.is_known:
        await suppress_by_receipt(context.database, context.receipts, context.keyring, receipt, context.now())
    return recorded.is_known


async def _record(receipt: Receipt, now: int) -> _Recorded:
    attempt = await deliveries.find_attempt(receipt.provider, receipt.provider_message_id)
    if attempt is None:
        return _Recorded(is_known=False)
    rows = await Take(DELIVERIES, [(attempt.owner, attempt.number)])
    before = deliveries.from_row(rows[0])
    after = delivery_rules.after_receipt(before, receipt, now)
    if after is before:
        return _Recorded(is_known=True)
    owner = await challenges.find(before.owner)
    await Append([delivery_event(after, owner.application if owner else "", now, provider=receipt.provider)])
    await Write(deliveries.update([after]), last=True)
    if receipt.state is ReceiptState.DELIVERED:
        stats = ProviderStats(delivered=1, receipts={bucket(now - attempt.ended_at): 1})
    else:
        stats = ProviderStats(undelivered=1)
    return _Recorded(True, ProviderKey(receipt.provider, before.channel, before.region.country), stats)
