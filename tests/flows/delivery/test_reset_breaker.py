"""Resetting a circuit breaker: an operator ends the rest of a provider, and the log keeps who did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.delivery.circuit_breaker import TRIPS_AT, CircuitBreaker, after_failure
from countersign.domain.delivery.delivery import Reason
from countersign.domain.shared.event import EventKind
from countersign.flows.delivery.reset_breaker import reset_breaker
from countersign.store.engine.database import Write
from countersign.store.tables import events, provider_health

if TYPE_CHECKING:
    from tests.flows.place import Place


async def trip(name: str, now: int) -> None:
    breaker = CircuitBreaker(name)
    for _ in range(TRIPS_AT):
        breaker = after_failure(breaker, Reason.UNREACHABLE, now)
    await Write(provider_health.upsert_breakers([breaker]))


async def test_a_tripped_provider_is_used_again_at_once(each_place: Place) -> None:
    await each_place.database.run(trip, "first", each_place.clock())
    log = each_place.delivery.records
    assert await reset_breaker(each_place.database, log, "first", each_place.clock())
    known = await each_place.database.read(provider_health.find_breakers)
    assert "first" not in known or not known["first"].tripped
    (event,) = [
        one
        for one in await each_place.database.read(events.list_between, 0, 1 << 62)
        if one.kind is EventKind.PROVIDER_BACK
    ]
    assert (event.owner, event.facts) == ("first", {"by": "operator"})


async def test_a_provider_that_is_not_skipped_is_left_alone(place: Place) -> None:
    assert not await reset_breaker(place.database, place.delivery.records, "first", place.clock())
    assert await place.database.read(events.list_between, 0, 1 << 62) == []
