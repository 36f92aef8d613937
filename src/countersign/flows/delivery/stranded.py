"""Stranded messages: those whose provider no worker knows. They are told of, and go on by another provider or end in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from countersign.domain.delivery import delivery as delivery_rules
from countersign.domain.delivery.delivery import Delivery, DeliveryState, Reason
from countersign.flows.delivery.claim import find_owners, reason_to_drop
from countersign.flows.delivery.events import delivery_event
from countersign.store.engine.database import Append, Write
from countersign.store.tables import applications, deliveries, queue

if TYPE_CHECKING:
    from collections.abc import Collection

    from countersign.domain.shared.event import Event
    from countersign.flows.delivery.context import DeliveryContext

STRANDED_AFTER: Final = 30_000
"""Milliseconds for which a due message waits for a worker that knows its provider. While settings are rolled out, that takes seconds."""

BATCH: Final = 500

_log = structlog.get_logger("countersign.delivery")


async def rescue_stranded(context: DeliveryContext) -> int:
    """Look after due messages whose provider is in no worker's settings, and return how many went on or ended.

    They go to the next provider of their route that this worker knows. Those without one wait until they end to be of use. The log says it
    once an hour for each provider. Raises UnavailableError if the database is down.
    """
    now = context.now()
    moved = 0
    for found in await context.database.read(queue.find_due, now, BATCH):
        waited = now - found.oldest
        if not found.provider or found.provider in context.providers or waited < STRANDED_AFTER:
            continue
        if context.stats.is_news(f"unknown {found.provider}", now):
            _log.error("provider_unknown", provider=found.provider, messages=found.due, oldest_seconds=waited // 1_000)
        names = frozenset(context.providers)
        moved += await context.claims.run(context.database, _rescue, names, found.name, now)
    return moved


async def _rescue(providers: Collection[str], name: str, now: int) -> int:
    rows = await queue.claim_shares({name: BATCH}, now - STRANDED_AFTER)
    due = await find_owners(rows)
    sites = await applications.find_by_ids([owner.application for owner in due.owners.values()])
    changed: list[Delivery] = []
    events: list[Event] = []
    for delivery in due.deliveries:
        owner = due.owners.get(delivery.owner)
        reason = reason_to_drop(delivery, owner, now, sites.get(delivery.application))
        if reason is not None:
            after = delivery_rules.drop(delivery, reason, now)
        else:
            after = _at_known_provider(delivery, providers, now)
        if after != delivery:
            changed.append(after)
            events.append(delivery_event(after, owner.application if owner else delivery.application, now))
    if changed:
        await Append(events)
        await Write(deliveries.update(changed), last=True)
    return len(changed)


def _at_known_provider(delivery: Delivery, providers: Collection[str], now: int) -> Delivery:
    """Return the message at the next provider of its route that is known here. If there is none, return it unchanged."""
    for position in range(delivery.position + 1, len(delivery.route)):
        if delivery.route[position] in providers:
            before = msgspec.structs.replace(delivery, position=position - 1, state=DeliveryState.QUEUED)
            return delivery_rules.next_provider(before, Reason.MISCONFIGURED, now)
    return delivery
