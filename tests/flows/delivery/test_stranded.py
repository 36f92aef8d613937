"""Stranded messages: what names a provider that nobody knows is told of, goes on where it can, and ends in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest_asyncio
from structlog.testing import capture_logs
from tests.clock import MINUTE
from tests.flows.place import SHOP, Place, place_at

from countersign.domain.delivery.delivery import DeliveryState, Reason
from countersign.domain.shared.application import ApplicationMode
from countersign.flows.delivery.stranded import STRANDED_AFTER, rescue_stranded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.clock import FixedClock

LIVE = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)


@pytest_asyncio.fixture
async def live(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place whose settings have lost a provider: on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=("gone", "second")) as opened:
        providers = {name: one for name, one in opened.carriers.items() if name != "gone"}
        opened.delivery = msgspec.structs.replace(opened.delivery, providers=providers)
        yield opened


async def test_it_waits_for_a_worker_that_knows_the_provider_and_then_goes_on_by_another(live: Place) -> None:
    """D1, D10."""
    challenge = await live.begun("ada@example.org", application=LIVE)
    live.clock.forward(STRANDED_AFTER - 1)
    assert await rescue_stranded(live.delivery) == 0
    live.clock.forward(1)
    with capture_logs() as logs:
        assert await rescue_stranded(live.delivery) == 1
        await live.begun("bob@example.org", application=LIVE)
        live.clock.forward(STRANDED_AFTER)
        assert await rescue_stranded(live.delivery) == 1
    lines = [one for one in logs if one["event"] == "provider_unknown"]
    assert [(one["provider"], one["messages"], one["oldest_seconds"]) for one in lines] == [("gone", 1, 30)]
    assert await live.deliver() == 2
    (delivery,) = await live.deliveries(challenge)
    assert (delivery.state, delivery.provider) == (DeliveryState.ACCEPTED, "second")


async def test_without_another_provider_it_waits_until_its_code_has_run_out(live: Place) -> None:
    """D8: settings that are mended in time lose nothing."""
    challenge = await live.begun("ada@example.org", application=LIVE)
    await live.change("""UPDATE deliveries SET route = '["gone"]'""")
    live.clock.forward(MINUTE)
    assert await rescue_stranded(live.delivery) == 0
    live.clock.forward(10 * MINUTE)
    assert await rescue_stranded(live.delivery) == 1
    (delivery,) = await live.deliveries(challenge)
    assert (delivery.state, delivery.reason, delivery.ended) == (DeliveryState.DROPPED, Reason.EXPIRED, True)
