"""Audit events of deliveries: each state has its kind, and the facts name no contact."""

from __future__ import annotations

import msgspec
import pytest

from countersign.domain.delivery.delivery import DeliveryState, Reason, new_delivery
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import EventKind
from countersign.flows.delivery.events import delivery_event

DELIVERY = new_delivery("ver_1", 2, Channel.SMS, ("first",), 1_000)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (DeliveryState.QUEUED, EventKind.DELIVERY_RETRIED),
        (DeliveryState.ACCEPTED, EventKind.DELIVERY_ACCEPTED),
        (DeliveryState.DELIVERED, EventKind.DELIVERY_DELIVERED),
        (DeliveryState.UNDELIVERED, EventKind.DELIVERY_UNDELIVERED),
        (DeliveryState.FAILED, EventKind.DELIVERY_FAILED),
        (DeliveryState.DROPPED, EventKind.DELIVERY_DROPPED),
    ],
)
def test_every_state_that_is_recorded_has_its_event(state: DeliveryState, kind: EventKind) -> None:
    event = delivery_event(msgspec.structs.replace(DELIVERY, state=state), "app_1", 2_000)
    assert (event.at, event.kind, event.application, event.owner) == (2_000, kind, "app_1", "ver_1")
    assert event.facts == {"number": 2, "channel": "sms"}


def test_the_provider_and_the_reason_are_facts_where_there_are_some() -> None:
    failed = msgspec.structs.replace(DELIVERY, state=DeliveryState.FAILED, reason=Reason.BLOCKED)
    facts = delivery_event(failed, "app_1", 2_000, provider="first").facts
    assert facts == {"number": 2, "channel": "sms", "provider": "first", "reason": "blocked"}
