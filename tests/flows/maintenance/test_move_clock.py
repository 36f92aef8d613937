"""A clock that is moved while messages are under way and others wait: nothing is sent twice, and nobody waits who need not."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.clock import HOUR, MINUTE, NOON, SECOND, FixedClock
from tests.flows.place import Carrier, Place

from countersign.clock import Clock
from countersign.domain.delivery.delivery import Accepted, DeliveryState, Message
from countersign.flows.maintenance.move_clock import ClockNotMoved, move_clock
from countersign.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Slow(Carrier):
    """A carrier that keeps every message waiting until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()

    async def send(self, message: Message) -> Accepted:
        """Wait, then accept."""
        self.sent.append(message)
        await self.open.wait()
        return Accepted(message.key)


@contextlib.asynccontextmanager
async def working(place: Place, clock: Clock, carrier: Carrier) -> AsyncIterator[None]:
    core = msgspec.structs.replace(place.core, clock=clock)
    worker = Worker(msgspec.structs.replace(place.delivery, core=core, providers={"inbox": carrier}), 30)
    clock.hear(worker.extend_leases, worker.clock_moved)
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await asyncio.wait_for(task, 15)


async def test_what_is_under_way_is_not_sent_again_when_its_lease_is_leapt_over(place: Place) -> None:
    """D2."""
    clock, carrier = Clock(place.clock), Slow()
    challenge = await place.begun()
    async with working(place, clock, carrier):
        async with asyncio.timeout(5):
            while not carrier.sent:  # noqa: ASYNC110 - another task's doing
                await asyncio.sleep(0.005)
        assert await move_clock(clock, place.core.database, by=5 * MINUTE) is None
        await asyncio.sleep(0.3)
        assert len(carrier.sent) == 1
        carrier.open.set()
        async with asyncio.timeout(5):
            while (await place.deliveries(challenge))[0].state is not DeliveryState.ACCEPTED:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.005)
    assert len(carrier.sent) == 1


async def test_moves_that_come_at_once_all_count(place: Place) -> None:
    clock = Clock(place.clock)
    await asyncio.gather(*(move_clock(clock, place.core.database, by=SECOND) for _ in range(50)))
    assert clock() == NOON + 50 * SECOND


async def test_a_clock_that_was_asked_back_stands_where_it_was(place: Place) -> None:
    clock = Clock(place.clock)
    assert await move_clock(clock, place.core.database, to=NOON + HOUR) is None
    assert await move_clock(clock, place.core.database, to=NOON) is ClockNotMoved.BACKWARD
    assert await move_clock(clock, place.core.database, by=-1) is ClockNotMoved.BACKWARD
    assert clock() == NOON + HOUR
    with pytest.raises(ValueError, match="put back"):
        await clock.move(0)


async def test_who_sleeps_by_the_clock_wakes_when_it_is_moved_and_not_before() -> None:
    machine = FixedClock()
    clock = Clock(machine)
    sleeping = asyncio.create_task(clock.sleep(20))
    await asyncio.sleep(0)
    await clock.move(19 * SECOND)
    await asyncio.sleep(0.05)
    assert not sleeping.done()
    await clock.move(20 * SECOND)
    await asyncio.wait_for(sleeping, 1)
