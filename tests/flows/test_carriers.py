"""Carriers: who keeps failing is left out for everybody, who is slow is not waited for, and what became of codes is counted once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest_asyncio
from tests.clock import MINUTE, SECOND, FixedClock
from tests.flows.place import SHOP, Place, done, place_at

from countersign.domain.delivery.circuit_breaker import PROBE, RESTS
from countersign.domain.delivery.delivery import Accepted, DeliveryState, Message, Reason, Receipt, ReceiptState
from countersign.domain.delivery.latency import ProviderKey, ProviderStats, bucket
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import EventKind
from countersign.errors import DeliveryFailedError
from countersign.flows.delivery.claim import claim_due
from countersign.flows.delivery.conversions import record_conversions
from countersign.flows.delivery.receipts import record_receipt
from countersign.flows.delivery.send import record_results, send
from countersign.store.tables import events, provider_health

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from countersign.domain.delivery.delivery import Delivery
    from countersign.domain.verifications.challenge import Challenge

LIVE = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)
DOWN = DeliveryFailedError("unreachable", permanent=False)
FIRST = ProviderKey("first", Channel.SMS, "DE")


@pytest_asyncio.fixture
async def live(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place with a route of two carriers, on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=("first", "second")) as opened:
        yield opened


async def asked(place: Place, number: int = 0) -> Challenge:
    return await place.begun(f"+4917012345{number:02}", application=LIVE)


async def only(place: Place, challenge: Challenge) -> Delivery:
    (delivery,) = await place.deliveries(challenge)
    return delivery


async def broken(place: Place) -> None:
    """Have the first carrier fail three times; the second takes those messages."""
    place.carriers["first"].words.extend([DOWN] * 3)
    for number in range(3):
        await asked(place, number)
    assert [await place.deliver() for _ in range(2)] == [3, 3]
    assert len(place.carriers["second"].sent) == 3


async def test_after_three_failures_in_a_row_nobody_waits_for_that_provider(live: Place) -> None:
    """D2: the state is in the database, so that another worker leaves it out as well."""
    await broken(live)
    known = await live.database.read(provider_health.breakers)
    assert known["first"].is_open(live.clock())
    await asked(live, 3)
    assert await live.deliver() == 1
    assert (len(live.carriers["first"].sent), len(live.carriers["second"].sent)) == (3, 4)
    (told,) = [
        event
        for event in await live.database.read(events.between, 0, 1 << 62)
        if event.kind is EventKind.PROVIDER_TRIPPED
    ]
    assert (told.owner, told.facts) == ("first", {"reason": "unreachable"})


async def test_one_message_tries_whether_it_is_back_and_then_all_go_there_again(live: Place, clock: FixedClock) -> None:
    await broken(live)
    clock.forward(RESTS[0])
    for number in range(5):
        await asked(live, 10 + number)
    assert await live.deliver() == 5
    assert (len(live.carriers["first"].sent), len(live.carriers["second"].sent)) == (3 + 1, 3 + 4)
    assert await live.database.read(provider_health.breakers) == {}
    await asked(live, 20)
    await live.deliver()
    assert len(live.carriers["first"].sent) == 5
    kinds = [event.kind for event in await live.database.read(events.between, 0, 1 << 62)]
    assert kinds.count(EventKind.PROVIDER_BACK) == 1


async def test_two_workers_try_it_with_one_message_between_them(live: Place, clock: FixedClock) -> None:
    await broken(live)
    clock.forward(RESTS[0])
    for number in range(8):
        await asked(live, 30 + number)
    parcels = [one for some in await asyncio.gather(*(claim_due(live.delivery, 2) for _ in range(4))) for one in some]
    assert [parcel.delivery.provider for parcel in parcels].count("first") == 1
    assert len(parcels) == 8


async def test_a_try_to_come_back_that_fails_lengthens_the_rest(live: Place, clock: FixedClock) -> None:
    await broken(live)
    clock.forward(RESTS[0])
    live.carriers["first"].words.append(DOWN)
    challenge = await asked(live, 40)
    assert [await live.deliver(), await live.deliver()] == [1, 1]
    assert (await only(live, challenge)).provider == "second"
    known = await live.database.read(provider_health.breakers)
    assert known["first"].until == clock() + RESTS[1]
    clock.forward(RESTS[0])
    await asked(live, 41)
    await live.deliver()
    assert len(live.carriers["first"].sent) == 4, "not yet"


async def test_where_all_are_left_out_they_are_tried_all_the_same(live: Place) -> None:
    """D1: a message is not given up because of what happened to others."""
    await broken(live)
    live.carriers["second"].words.extend([DOWN] * 3)
    for number in range(3):
        await asked(live, 50 + number)
        await live.deliver()
    challenge = await asked(live, 60)
    assert await live.deliver() >= 1
    assert (await only(live, challenge)).state is DeliveryState.ACCEPTED


async def test_a_provider_that_hangs_is_not_waited_for_while_another_could_take_the_message(live: Place) -> None:
    """D2: two and a half seconds, until its own pace is known."""

    class Hangs:
        async def send(self, message: Message) -> Accepted:
            del message
            await asyncio.sleep(60)
            raise AssertionError

        async def close(self) -> None: ...

    post = msgspec.structs.replace(live.delivery, providers={**live.delivery.providers, "first": Hangs()})
    challenge = await asked(live)
    began = asyncio.get_running_loop().time()
    (parcel,) = await claim_due(post, 1)
    result = await send(post, parcel)
    assert 2.4 < asyncio.get_running_loop().time() - began < 4
    await record_results(post, [result])
    moved = await only(live, challenge)
    assert (moved.state, moved.provider, moved.reason) == (DeliveryState.QUEUED, "second", Reason.TIMED_OUT)
    assert moved.due_at == result.ended_at


async def learned(place: Place, pace: ProviderStats) -> None:
    place.delivery.lessons.note(FIRST, pace)
    await place.delivery.lessons.write(place.database, place.clock())


async def test_a_missing_receipt_moves_on_after_what_95_in_100_took_in_that_country(
    live: Place, clock: FixedClock
) -> None:
    """D2: the same code goes by the next provider; in another country the first still has a minute."""
    await learned(live, ProviderStats(receipts={bucket(6_000): 100}))
    live.carriers["first"].words.extend([Accepted("m1", 60_000), Accepted("m2", 60_000)])
    german = await asked(live)
    french = await live.begun("+33612345678", application=LIVE)
    assert await live.deliver() == 2
    due = {await_of.owner: await_of.due_at for await_of in [await only(live, german), await only(live, french)]}
    assert 6_000 <= (due[german.id] or 0) - clock() <= 7_500
    assert (due[french.id] or 0) - clock() == 60_000
    clock.forward(7_500)
    assert await live.deliver() == 1
    (message,) = live.carriers["second"].sent
    assert live.code(german) in message.text
    await live.delivery.lessons.write(live.database, clock())
    assert live.delivery.lessons.known[FIRST].overdue == 1


async def test_a_late_receipt_still_says_that_the_first_one_came(live: Place, clock: FixedClock) -> None:
    """D2: the first answer wins, whichever provider it comes from."""
    live.carriers["first"].words.append(Accepted("late", 60_000))
    challenge = await asked(live)
    await live.deliver()
    clock.forward(MINUTE)
    await live.deliver()
    assert await record_receipt(live.delivery, Receipt("first", "late", ReceiptState.DELIVERED))
    delivery = await only(live, challenge)
    assert (delivery.state, delivery.ended) == (DeliveryState.DELIVERED, True)


async def test_no_second_message_is_sent_for_a_challenge_that_has_ended(live: Place, clock: FixedClock) -> None:
    """D1: the code was typed, so the receipt that is missing moves nothing."""
    live.carriers["first"].words.append(Accepted("m", 60_000))
    challenge = await asked(live)
    await live.deliver()
    done(await live.answer(challenge, live.code(challenge), LIVE))
    clock.forward(MINUTE)
    assert await live.deliver() == 0
    assert live.carriers["second"].sent == []


async def test_receipts_teach_how_soon_they_come_and_each_counts_once(live: Place, clock: FixedClock) -> None:
    live.carriers["first"].words.append(Accepted("m", 60_000))
    await asked(live)
    await live.deliver()
    clock.forward(4 * SECOND)
    for _ in range(3):
        await record_receipt(live.delivery, Receipt("first", "m", ReceiptState.DELIVERED))
    await live.delivery.lessons.write(live.database, clock())
    pace = live.delivery.lessons.known[FIRST]
    assert (pace.taken, pace.delivered, pace.receipts) == (1, 1, {bucket(4 * SECOND): 1})


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
    await live.delivery.lessons.write(live.database, clock())
    pace = live.delivery.lessons.known[FIRST]
    assert (pace.ended, pace.converted) == (4, 2), "a resend has brought the code, and the first message has not"


async def test_lessons_are_kept_while_the_database_is_away(live: Place) -> None:
    from countersign.errors import UnavailableError

    class Away:
        async def run(self, *_: object) -> object:
            raise UnavailableError("away")

    live.delivery.lessons.note(FIRST, ProviderStats(taken=2))
    try:
        await live.delivery.lessons.write(Away(), 0)  # type: ignore[arg-type] # a database that is away has no more to offer
    except UnavailableError:
        live.delivery.lessons.note(FIRST, ProviderStats(taken=1))
    await live.delivery.lessons.write(live.database, live.clock())
    assert live.delivery.lessons.known[FIRST].taken == 3


def test_a_probe_is_given_longer_than_a_hurried_answer_takes() -> None:
    from countersign.domain.delivery.latency import MAX_ANSWER_TIMEOUT

    assert PROBE > MAX_ANSWER_TIMEOUT
