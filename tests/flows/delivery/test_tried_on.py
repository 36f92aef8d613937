"""Tried on: while a code lives and somebody could use it, its message is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest_asyncio
from tests.clock import MINUTE, SECOND
from tests.flows.place import SHOP, Place, place_at, says

from countersign.domain.delivery.delivery import DeliveryState, Reason
from countersign.domain.shared.application import ApplicationMode
from countersign.errors import DeliveryFailedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.clock import FixedClock

    from countersign.domain.verifications.challenge import Challenge

LIVE = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)


@pytest_asyncio.fixture
async def alone(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place with one mail server, as is usual: on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=("mail",)) as opened:
        yield opened


async def wait(place: Place, until: int, every: int = SECOND) -> None:
    """Let time pass up to `until` ms after now, with a worker that looks every second."""
    for _ in range(0, until, every):
        place.clock.forward(every)
        await place.deliver()


async def state(place: Place, challenge: Challenge) -> tuple[DeliveryState, Reason | None]:
    (delivery,) = await place.deliveries(challenge)
    return delivery.state, delivery.reason


async def test_a_mail_server_that_is_away_for_45_seconds_loses_no_code(alone: Place) -> None:
    """D8: the codes that were asked for in the first 25 seconds too."""
    asked = []
    for second in range(0, 45, 5):
        alone.carriers["mail"].words.extend([DeliveryFailedError("unreachable", permanent=False)] * 50)
        if second <= 25:
            asked.append(await alone.begun(f"p{second}@example.org", application=LIVE))
        await alone.deliver()
        await wait(alone, 5 * SECOND)
    alone.carriers["mail"].words.clear()
    before = len(alone.carriers["mail"].sent)
    await wait(alone, 35 * SECOND)
    arrived = alone.carriers["mail"].sent[before:]
    assert len(arrived) == len(asked) == 6
    assert all(any(says(message, alone.code(challenge)) for message in arrived) for challenge in asked)
    assert {await state(alone, challenge) for challenge in asked} == {(DeliveryState.ACCEPTED, None)}


async def test_a_route_with_another_provider_hurries_on(database_url: str, tmp_path: Path, clock: FixedClock) -> None:
    """D8, D2: nobody waits for a server where another could send."""
    async with place_at(database_url, tmp_path, clock=clock, live=("first", "second")) as place:
        place.carriers["first"].words.append(DeliveryFailedError("unreachable", permanent=False))
        place.carriers["second"].words.extend([DeliveryFailedError("timed_out", permanent=False)] * 4)
        challenge = await place.begun("ada@example.org", application=LIVE)
        assert [await place.deliver() for _ in range(2)] == [1, 1]
        assert len(place.carriers["second"].sent) == 1, "at once"
        await wait(place, MINUTE)
        assert await state(place, challenge) == (DeliveryState.ACCEPTED, None)


async def test_nothing_is_tried_that_nobody_could_use(alone: Place, clock: FixedClock) -> None:
    """D8: an answered code ends its message, and one that would come too late is told at once."""
    alone.carriers["mail"].words.extend([DeliveryFailedError("unreachable", permanent=False)] * 50)
    answered = await alone.begun("ada@example.org", application=LIVE)
    waiting = await alone.begun("bob@example.org", application=LIVE)
    await alone.deliver()
    await alone.answer(answered, alone.code(answered), LIVE)
    await wait(alone, SECOND)
    assert await state(alone, answered) == (DeliveryState.DROPPED, Reason.ENDED)
    await wait(alone, 10 * MINUTE, 10 * SECOND)
    (delivery,) = await alone.deliveries(waiting)
    assert (delivery.state, delivery.reason, delivery.ended) == (DeliveryState.FAILED, Reason.UNREACHABLE, True)
    assert 8 <= delivery.attempts <= 10
    sent = len(alone.carriers["mail"].sent)
    clock.forward(10 * MINUTE)
    await alone.deliver()
    assert len(alone.carriers["mail"].sent) == sent
