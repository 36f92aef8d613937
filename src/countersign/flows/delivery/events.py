"""Audit events for delivery state changes."""

from __future__ import annotations

from typing import Final

from countersign.domain.delivery.delivery import Delivery, DeliveryState
from countersign.domain.shared.event import Event, EventKind

_KINDS: Final = {
    DeliveryState.ACCEPTED: EventKind.DELIVERY_ACCEPTED,
    DeliveryState.QUEUED: EventKind.DELIVERY_RETRIED,
    DeliveryState.FAILED: EventKind.DELIVERY_FAILED,
    DeliveryState.DROPPED: EventKind.DELIVERY_DROPPED,
    DeliveryState.DELIVERED: EventKind.DELIVERY_DELIVERED,
    DeliveryState.UNDELIVERED: EventKind.DELIVERY_UNDELIVERED,
}


def delivery_event(delivery: Delivery, application: str, at: int, *, provider: str = "") -> Event:
    """Return the event of the state that a message is in now. `provider` is who reported it, if any did."""
    facts: dict[str, str | int] = {"number": delivery.number, "channel": delivery.channel.value}
    if provider:
        facts["provider"] = provider
    if delivery.reason is not None:
        facts["reason"] = delivery.reason.value
    return Event(at, _KINDS[delivery.state], application, delivery.owner, facts)
