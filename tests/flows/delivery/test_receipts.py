"""Receipts: each moves its message on once, and teaches how long the receipts of a provider take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest_asyncio
from structlog.testing import capture_logs
from tests.clock import MINUTE, SECOND, FixedClock
from tests.flows.place import SHOP, Place, place_at

from countersign.domain.delivery.delivery import (
    Accepted,
    DeliveryState,
    Reason,
    Receipt,
    ReceiptState,
)
from countersign.domain.delivery.latency import ProviderKey, ProviderStats, bucket
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import EventKind
from countersign.flows.delivery.context import StatsRecorder
from countersign.flows.delivery.conversions import record_conversions
from countersign.flows.delivery.receipts import record_receipt
from countersign.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from countersign.domain.delivery.delivery import Delivery
    from countersign.domain.verifications.challenge import Challenge


LIVE = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)


@pytest_asyncio.fixture
async def live(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place with a route of two carriers, on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=("first", "second")) as opened:
        yield opened


async def only(place: Place, challenge: Challenge) -> Delivery:
    (delivery,) = await place.deliveries(challenge)
    return delivery


async def test_a_receipt_moves_the_message_on(live: Place) -> None:
    live.carriers["first"].words.append(Accepted("a-1", receipt_within=30_000))
    challenge = await live.begun(application=LIVE)
    arrived = Receipt("first", "a-1", ReceiptState.DELIVERED)
    assert await record_receipt(live.delivery, arrived) is False, "a receipt can outrun our own record"
    await live.deliver()
    assert await record_receipt(live.delivery, msgspec.structs.replace(arrived, provider="second")) is False
    assert await record_receipt(live.delivery, arrived) is True
    assert await record_receipt(live.delivery, arrived) is True
    assert (await only(live, challenge)).state is DeliveryState.DELIVERED
    assert (await live.kinds(challenge))[EventKind.DELIVERY_DELIVERED] == 1
    assert await live.deliver() == 0


async def test_a_bad_or_missing_receipt_brings_the_next_route(live: Place, clock: FixedClock) -> None:
    live.carriers["first"].words.extend([Accepted("a-1", 30_000), Accepted("a-2", 30_000)])
    bounced, silent = await live.begun(application=LIVE), await live.begun("eve@example.org", application=LIVE)
    await live.deliver()
    await record_receipt(live.delivery, Receipt("first", "a-1", ReceiptState.UNDELIVERED, Reason.BLOCKED))
    assert await live.deliver() == 1
    clock.forward(30 * SECOND)
    assert await live.deliver() == 1
    assert len(live.carriers["second"].sent) == 2
    late = Receipt("first", "a-2", ReceiptState.DELIVERED)
    assert await record_receipt(live.delivery, late) is True
    assert (await only(live, silent)).state is DeliveryState.DELIVERED, "late, and still the better end"
    assert (await only(live, bounced)).state is DeliveryState.ACCEPTED


FIRST = ProviderKey("first", Channel.SMS, "DE")


async def asked(place: Place, number: int = 0) -> Challenge:
    return await place.begun(f"+4917012345{number:02}", application=LIVE)


async def learned(place: Place, pace: ProviderStats) -> None:
    place.delivery.stats.add(FIRST, pace)
    await place.delivery.stats.write(place.database, place.clock())


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
    await live.delivery.stats.write(live.database, clock())
    assert live.delivery.stats.known[FIRST].overdue == 1


async def test_receipts_that_are_missing_are_told_once_and_counted(live: Place, clock: FixedClock) -> None:
    """D12: one country's codes were lost, and nothing said so."""
    metrics = Metrics()
    live.delivery = msgspec.structs.replace(live.delivery, stats=StatsRecorder(metrics.provider_stats))
    live.carriers["first"].words.extend(Accepted(f"m{n}", 60_000) for n in range(3))
    for n in range(3):
        await live.begun(f"+49170123456{n}", application=LIVE)
    await live.deliver()
    clock.forward(MINUTE)
    with capture_logs() as logs:
        await live.deliver()
    (line,) = [one for one in logs if one["event"] == "receipts_missing"]
    assert (line["provider"], line["channel"], line["country"], line["application"]) == ("first", "sms", "DE", LIVE.id)
    page = metrics.page().decode()
    where = 'channel="sms",country="DE",provider="first"'
    assert f'countersign_receipts_total{{{where},result="missing"}} 3.0' in page
    assert f"countersign_messages_accepted_total{{{where}}} 3.0" in page
    clock.forward(60 * MINUTE + 1)
    live.carriers["first"].words.append(Accepted("m9", 60_000))
    await live.begun("+491701234569", application=LIVE)
    await live.deliver()
    clock.forward(MINUTE)
    with capture_logs() as logs:
        await live.deliver()
    assert [one["event"] for one in logs].count("receipts_missing") == 1, "and again an hour later"


async def test_what_receipts_and_codes_say_is_counted(live: Place) -> None:
    """D12."""
    metrics = Metrics()
    live.delivery = msgspec.structs.replace(live.delivery, stats=StatsRecorder(metrics.provider_stats))
    live.carriers["first"].words.extend([Accepted("a"), Accepted("b")])
    challenge = await asked(live)
    await live.begun("+491701234560", application=LIVE)
    await live.deliver()
    await record_receipt(live.delivery, Receipt("first", "a", ReceiptState.DELIVERED))
    await record_receipt(live.delivery, Receipt("first", "b", ReceiptState.UNDELIVERED, Reason.REFUSED))
    await record_receipt(live.delivery, Receipt("first", "b", ReceiptState.UNDELIVERED, Reason.REFUSED))
    await live.answer(challenge, live.code(challenge), LIVE)
    await record_conversions(live.delivery)
    page = metrics.page().decode()
    assert 'country="DE",provider="first",result="delivered"} 1.0' in page
    assert 'country="DE",provider="first",result="undelivered"} 1.0' in page
    assert 'country="DE",entered="yes",provider="first"} 1.0' in page


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


async def test_receipts_teach_how_soon_they_come_and_each_counts_once(live: Place, clock: FixedClock) -> None:
    live.carriers["first"].words.append(Accepted("m", 60_000))
    await asked(live)
    await live.deliver()
    clock.forward(4 * SECOND)
    for _ in range(3):
        await record_receipt(live.delivery, Receipt("first", "m", ReceiptState.DELIVERED))
    await live.delivery.stats.write(live.database, clock())
    pace = live.delivery.stats.known[FIRST]
    assert (pace.taken, pace.delivered, pace.receipts) == (1, 1, {bucket(4 * SECOND): 1})
