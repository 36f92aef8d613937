"""Provider statistics: they survive an outage of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio
from tests.clock import FixedClock
from tests.flows.place import Place, place_at

from countersign.domain.delivery.latency import ProviderKey, ProviderStats
from countersign.domain.shared.contact import Channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


FIRST = ProviderKey("first", Channel.SMS, "DE")


@pytest_asyncio.fixture
async def live(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place with a route of two carriers, on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=("first", "second")) as opened:
        yield opened


async def test_lessons_are_kept_while_the_database_is_away(live: Place) -> None:
    from countersign.errors import UnavailableError

    class Away:
        async def run(self, *_: object) -> object:
            raise UnavailableError("away")

    live.delivery.stats.add(FIRST, ProviderStats(taken=2))
    try:
        await live.delivery.stats.write(Away(), 0)  # type: ignore[arg-type] # a database that is away has no more to offer
    except UnavailableError:
        live.delivery.stats.add(FIRST, ProviderStats(taken=1))
    await live.delivery.stats.write(live.database, live.clock())
    assert live.delivery.stats.known[FIRST].taken == 3
