"""A launch through the flows: nobody is held back who had no time to answer, and how long people take is learned and kept."""

from __future__ import annotations

import asyncio
import math
import random
from typing import TYPE_CHECKING

import msgspec
import pytest_asyncio
from structlog.testing import capture_logs
from tests.clock import MINUTE, SECOND
from tests.flows.place import SHOP, UNLIMITED, Place, done, place_at

from countersign.domain.delivery.answer_time import HORIZON, USUAL
from countersign.domain.delivery.delivery import Reason
from countersign.domain.delivery.latency import ProviderKey, bucket
from countersign.domain.delivery.sms_pumping import ALLOWANCES
from countersign.domain.delivery.sms_traffic import TrafficKey, TrafficScope, TrafficSlot
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.shared.contact import Channel
from countersign.flows.delivery.conversions import record_conversions
from countersign.flows.delivery.pumping_round import TrafficCounts
from countersign.store.tables import sms_traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tests.clock import FixedClock

    from countersign.domain.verifications.challenge import Challenge

LIVE = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)
PREFIXES = (
    *(f"+1{area}" for area in (212, 213, 305, 312, 404, 415, 512, 602, 617, 702)),
    *(f"+49{network}" for network in (151, 152, 157, 160, 162, 170, 171, 172)),
    *(f"+44{network}" for network in (740, 741, 742, 743, 744, 745)),
    *(f"+33{network}" for network in (611, 612, 613, 614, 615, 616)),
)
SUBSCRIBER = {"+1": 7, "+4": 7, "+3": 6}


@pytest_asyncio.fixture
async def live(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place with one carrier for live keys: on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=("first",)) as opened:
        yield opened


def numbers(count: int, seed: int = 16) -> list[str]:
    """Return numbers of a launch in four countries."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        prefix = chance.choice(PREFIXES)
        width = SUBSCRIBER[prefix[:2]]
        found.append(f"{prefix}{chance.randrange(2 * 10 ** (width - 1), 10**width):0{width}d}")
    return found


async def send(place: Place, to: Sequence[str], start: int = 0) -> list[Challenge]:
    """Ask for codes at once, and have them sent."""
    begun = await asyncio.gather(
        *(place.begun(one, application=LIVE, subject=f"s{start + n}") for n, one in enumerate(to))
    )
    while await place.deliver():
        pass
    return list(begun)


async def test_a_launch_of_ten_a_second_in_four_countries_loses_none(live: Place) -> None:
    """D11: with no history; 85 of 100 answer, after a log-normal time; a worker counts what was entered every ten seconds."""
    chance = random.Random(11)
    coming: list[tuple[int, int, Challenge]] = []
    began, asked = live.clock.now, numbers(250)
    for second in range(25):
        live.clock.now = began + second * SECOND
        for one in sorted(one for one in coming if one[0] <= live.clock.now):
            coming.remove(one)
            done(await live.answer(one[2], live.code(one[2]), LIVE))
        if second % 10 == 9:
            await record_conversions(live.delivery)
        for n, challenge in enumerate(await send(live, asked[second * 10 : second * 10 + 10], second * 10)):
            if chance.random() < 0.85:
                took = int(chance.lognormvariate(math.log(25), 0.9) * SECOND)
                coming.append((live.clock.now + took, second * 10 + n, challenge))
    assert len(live.carriers["first"].sent) == 250
    assert await live.database.read(sms_traffic.list_blocks, 0) == []


async def test_what_was_entered_is_counted_before_anything_is_held(live: Place) -> None:
    """D11: by whoever judges. The worker that counts every ten seconds may be another one, and busy."""
    most = ALLOWANCES[TrafficScope.PREFIX]
    begun = await send(live, [f"+49170{n * 10_007 % 10**7:07d}" for n in range(1, most + 1)])
    for challenge in begun[:5]:
        done(await live.answer(challenge, live.code(challenge), LIVE))
    await send(live, ["+491709999999"], most)
    assert len(live.carriers["first"].sent) == most + 1
    assert await live.database.read(sms_traffic.list_blocks, 0) == []
    before = await live.database.read(sms_traffic.find_histories, LIVE.id, ["+49170"], live.clock())
    assert sum(slot.converted for slot in before["+49170"].slots) == 5
    await record_conversions(live.delivery)
    after = await live.database.read(sms_traffic.find_histories, LIVE.id, ["+49170"], live.clock())
    assert after == before, "and counted once"


async def answered_after(place: Place, seconds: int, count: int) -> None:
    """Have so many people answer after so many seconds, and let the time pass after which that is learned from."""
    begun = await send(place, numbers(count, seed=seconds))
    place.clock.forward(seconds * SECOND)
    for challenge in begun:
        done(await place.answer(challenge, place.code(challenge), LIVE))
    await record_conversions(place.delivery)


async def test_how_long_people_take_is_learned_kept_and_shared(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    """D11: for each country and channel, by every worker, also after a restart. No number is kept."""
    async with place_at(database_url, tmp_path, clock=clock, live=("first",)) as first:
        await answered_after(first, 100, 40)
        stats = first.delivery.stats
        await stats.write(first.database, clock())
        assert stats.answer_times.of("DE").own == USUAL, "those who take longer have not answered yet"
        clock.forward(HORIZON)
        await stats.write(first.database, clock())
        learned = stats.answer_times.of("DE")
        assert learned.own != USUAL
        entries = stats.known[ProviderKey("first", Channel.SMS, "DE")].entries
        assert set(entries) == {bucket(100 * SECOND)}
    async with place_at(database_url, tmp_path, clock=clock, live=("first",)) as second:
        assert second.delivery.stats.answer_times.of("DE").own == USUAL
        await second.delivery.stats.write(second.database, clock())
        assert second.delivery.stats.answer_times.of("DE") == learned


async def test_mail_and_codes_that_were_not_entered_teach_nothing(live: Place) -> None:
    """D11."""
    mail = await live.begun("ada@example.org", application=LIVE)
    typed, _ = await send(live, ["+491701234567", "+491601234567"])
    for challenge in (mail, typed):
        done(await live.answer(challenge, live.code(challenge), LIVE))
    live.clock.forward(HORIZON + MINUTE)
    await record_conversions(live.delivery)
    await live.delivery.stats.write(live.database, live.clock())
    assert sum(sum(one.entries.values()) for one in live.delivery.stats.known.values()) == 1


async def test_a_hold_is_told_once_with_all_that_is_known_of_it(live: Place) -> None:
    """D12: provider, channel, country and application; and each message that is held back in a metric."""
    countries: list[str] = []
    live.delivery = msgspec.structs.replace(live.delivery, on_withheld=countries.append)
    most = ALLOWANCES[TrafficScope.PREFIX]
    with capture_logs() as logs:
        begun = await send(live, [f"+372545{n * 7_919 % 10**5:05d}" for n in range(1, most + 5)])
    (line,) = [one for one in logs if one["event"] == "destination_held"]
    assert (line["provider"], line["channel"], line["country"], line["application"]) == ("first", "sms", "EE", LIVE.id)
    reasons = [(await live.deliveries(one))[0].reason for one in begun]
    assert countries == ["EE"] * reasons.count(Reason.HELD_BACK)


def test_what_a_second_round_lets_go_stays_counted() -> None:
    """D7: only the messages that it withholds are given back."""
    first, second = TrafficCounts(), TrafficCounts()
    place = TrafficKey(TrafficScope.PREFIX, "+49170")
    first.add("app", place, TrafficSlot(0, 5, 50))
    second.add("app", place, TrafficSlot(0, 3, 30))
    assert first.minus(second) == {("app", place.name, 0): TrafficSlot(0, -2, -20)}
    assert first.minus(first) == {}
    assert first.minus(TrafficCounts()) == {("app", place.name, 0): TrafficSlot(0, -5, -50)}


async def test_several_workers_judge_a_launch_alike(database_url: str, tmp_path: Path, clock: FixedClock) -> None:
    """D11: no worker alone sees all of it."""
    async with (
        place_at(database_url, tmp_path, clock=clock, live=("first",), rules=UNLIMITED) as one,
        place_at(database_url, tmp_path, clock=clock, live=("first",), rules=UNLIMITED) as two,
    ):
        await asyncio.gather(*(one.begin(to, application=LIVE, subject=f"s{n}") for n, to in enumerate(numbers(120))))
        while any(await asyncio.gather(one.deliver(), two.deliver())):
            pass
        assert len(one.carriers["first"].sent) + len(two.carriers["first"].sent) == 120
        assert await one.database.read(sms_traffic.list_blocks, 0) == []
