"""Conversions: whether a code was entered is counted once for each message."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest_asyncio
from tests.clock import MINUTE, SECOND, FixedClock
from tests.flows.place import SHOP, Place, done, place_at

from countersign.domain.delivery.latency import ProviderKey
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.shared.contact import Channel
from countersign.flows.delivery.conversions import record_conversions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from countersign.domain.verifications.challenge import Challenge


LIVE = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)

FIRST = ProviderKey("first", Channel.SMS, "DE")


@pytest_asyncio.fixture
async def live(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place with a route of two carriers, on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=("first", "second")) as opened:
        yield opened


async def asked(place: Place, number: int = 0) -> Challenge:
    return await place.begun(f"+4917012345{number:02}", application=LIVE)


async def test_what_became_of_codes_is_counted_once_for_whoever_carried_them(live: Place, clock: FixedClock) -> None:
    typed, expired, canceled, again = [await asked(live, number) for number in range(4)]
    await live.deliver()
    done(await live.answer(typed, live.code(typed), LIVE))
    done(await live.cancel(canceled, LIVE))
    clock.forward(31 * SECOND)
    done(await live.resend(again, application=LIVE))
    await live.deliver()
    done(await live.answer(again, live.code(again), LIVE))
    clock.forward(10 * MINUTE)
    assert expired.id not in {typed.id, again.id}
    from countersign.flows.maintenance.sweep import sweep

    await sweep(live.core, 30)
    counted = await asyncio.gather(*(record_conversions(live.delivery) for _ in range(3)))
    assert sum(counted) == 5
    assert await record_conversions(live.delivery) == 0
    await live.delivery.stats.write(live.database, clock())
    pace = live.delivery.stats.known[FIRST]
    assert (pace.ended, pace.converted) == (4, 2), "a resend has brought the code, and the first message has not"
