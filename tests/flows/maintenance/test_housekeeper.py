"""The housekeeper: one worker at a time, and another soon after it has died."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.clock import MINUTE

from countersign.flows.maintenance.housekeeper import LEASE, give_up_lease, take_lease

if TYPE_CHECKING:
    from tests.clock import FixedClock
    from tests.flows.place import Place


async def test_of_many_workers_one_keeps_house(each_place: Place) -> None:
    """O8: whoever asks at the same moment."""
    taken = await asyncio.gather(*(take_lease(each_place.core, f"w{number}") for number in range(8)))
    assert taken.count(True) == 1


async def test_a_dead_housekeeper_is_replaced_when_its_lease_ends(each_place: Place, clock: FixedClock) -> None:
    """O8: and not before."""
    core = each_place.core
    assert await take_lease(core, "one")
    clock.forward(LEASE - 1)
    assert not await take_lease(core, "two")
    assert await take_lease(core, "one"), "its own lease is renewed"
    clock.forward(LEASE - 1)
    assert not await take_lease(core, "two")
    clock.forward(1)
    assert await take_lease(core, "two")
    assert not await take_lease(core, "one")


async def test_one_that_stops_makes_way_at_once(each_place: Place) -> None:
    core = each_place.core
    assert await take_lease(core, "one")
    await give_up_lease(core, "two")
    assert not await take_lease(core, "two"), "nobody gives up what is another's"
    await give_up_lease(core, "one")
    assert await take_lease(core, "two")


async def test_a_lease_from_the_future_holds_nobody_up(each_place: Place, clock: FixedClock) -> None:
    """O8: the clock was set back by more than a lease."""
    core = each_place.core
    clock.forward(10 * MINUTE)
    assert await take_lease(core, "one")
    clock.forward(-5 * MINUTE)
    assert await take_lease(core, "two")
