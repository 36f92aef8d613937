"""The queue belongs to applications: one that floods delays only itself, and a worker leaves alone what it cannot send."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import msgspec
import pytest_asyncio
from tests.clock import MINUTE, SECOND
from tests.flows.place import BANK, SHOP, Carrier, Place, place_at, query

from countersign.domain.delivery.delivery import Accepted, DeliveryState, Message, Reason, new_delivery
from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.delivery.claim import claim_from, find_due
from countersign.flows.verifications.results import Refused
from countersign.store.engine.database import Write
from countersign.store.tables import deliveries, queue
from countersign.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.clock import FixedClock

    from countersign.domain.verifications.challenge import Challenge

LIVE = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)
OTHER = msgspec.structs.replace(BANK, mode=ApplicationMode.LIVE)


@pytest_asyncio.fixture
async def live(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place with a route of two carriers, on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=("first", "second")) as opened:
        yield opened


async def flood(place: Place, challenge: Challenge, count: int) -> None:
    """Queue many messages of the application of a challenge, as if it had asked for as many codes."""
    owed = [
        new_delivery(
            challenge.id, 2 + n, Channel.EMAIL, ("first", "second"), place.clock(), application=challenge.application
        )
        for n in range(count)
    ]

    async def write() -> None:
        await Write(deliveries.insert(owed), last=True)

    await place.database.run(write)


async def test_a_code_behind_five_thousand_of_another_application_is_handed_over_in_its_turn(live: Place) -> None:
    """D10: with one place free, and with all."""
    flooding = await live.begun("flood@example.org", application=LIVE)
    await flood(live, flooding, 5_000)
    live.clock.forward(1)
    await live.begun("ada@example.org", application=OTHER)
    live.clock.forward(1)
    held = (await claim_from(live.delivery, await find_due(live.delivery, 64), 1)).ready
    assert [one.owner.application for one in held] == [LIVE.id], "it has waited longest"
    taken = await claim_from(live.delivery, await find_due(live.delivery, 64), 1, held)
    assert [one.owner.application for one in taken.ready] == [OTHER.id]
    await live.begun("bob@example.org", application=OTHER)
    taken = await claim_from(live.delivery, await find_due(live.delivery, 64), 10)
    assert [one.owner.application for one in taken.ready[:2]] == [LIVE.id, OTHER.id], "they are sent in turn"
    assert len(taken.ready) == 10
    state = {(one.application, one.provider): one for one in await live.database.read(queue.list_queues, live.clock())}
    assert state[LIVE.id, "first"].due == 5_001 - 10


class Slow(Carrier):
    """A carrier that answers nobody until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()

    async def send(self, message: Message) -> Accepted:
        """Keep the message, and wait."""
        self.sent.append(message)
        await self.open.wait()
        return Accepted(message.key)


async def test_a_flood_in_a_worker_leaves_room_for_others(live: Place) -> None:
    """D10: the carrier answers nobody, and the other's code is handed to it all the same."""
    flooding = await live.begun("flood@example.org", application=LIVE)
    await flood(live, flooding, 300)
    slow = Slow()
    worker = Worker(msgspec.structs.replace(live.delivery, providers={"first": slow, "second": slow}), 30)
    task = asyncio.create_task(worker.run())
    await eventually(lambda: len(slow.sent) >= 64, 10)
    await live.begun("ada@example.org", application=OTHER)
    worker.wake()
    await eventually(lambda: "ada@example.org" in {one.to for one in slow.sent}, 3)
    assert len(slow.sent) == 65, "one application has 64 places at most"
    slow.open.set()
    worker.stop()
    await asyncio.wait_for(task, 15)


async def test_a_flood_does_not_wait_inside_a_provider_that_sends_few_at_once(live: Place) -> None:
    """D10: a mail server with four connections has sixteen letters at a time; the next place is another application's."""
    flooding = await live.begun("flood@example.org", application=LIVE)
    await flood(live, flooding, 100)
    few = Few()
    live.delivery = msgspec.structs.replace(live.delivery, providers={"first": few, "second": few})
    held = (await claim_from(live.delivery, await find_due(live.delivery, 64), 80)).ready
    assert len(held) == few.most_at_once
    await live.begun("ada@example.org", application=OTHER)
    assert (await claim_from(live.delivery, await find_due(live.delivery, 64), 64, held)).looked_at == 0
    taken = await claim_from(live.delivery, await find_due(live.delivery, 64), 64, held[1:])
    assert [one.owner.application for one in taken.ready] == [OTHER.id]


class Few(Carrier):
    """A carrier that sends few messages at once."""

    most_at_once = 16


async def test_mail_does_not_wait_while_the_counts_of_phone_messages_are_locked(
    postgres_url: str, tmp_path: Path
) -> None:
    """D10: whoever stands still over the counts of one application stops neither mail nor another application."""
    async with place_at(postgres_url, tmp_path, live=("first",)) as place:
        sent = place.carriers["first"].sent
        await place.begun("+491701234500", application=LIVE)
        await place.deliver()
        stalled = await asyncpg.connect(postgres_url)
        transaction = stalled.transaction()
        await transaction.start()
        await stalled.execute("SELECT * FROM traffic WHERE application = $1 FOR UPDATE", LIVE.id)
        worker = Worker(place.delivery, 30)
        task = asyncio.create_task(worker.run())
        try:
            await place.begun("+491701234501", application=LIVE)
            await asyncio.gather(*(place.begun(f"p{n}@example.org", application=LIVE) for n in range(60)))
            await place.begun("+491701234502", application=OTHER)
            worker.wake()
            await eventually(lambda: len(sent) == 1 + 60 + 1, 3)
            assert "+491701234501" not in {one.to for one in sent}
            await transaction.rollback()
            await eventually(lambda: "+491701234501" in {one.to for one in sent}, 10)
        finally:
            await stalled.close()
            worker.stop()
            await asyncio.wait_for(task, 15)


async def eventually(holds: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what is waited for is another task's doing
            await asyncio.sleep(0.005)


async def test_a_worker_leaves_alone_what_names_a_provider_that_it_does_not_know(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    """D1, D10: a rollout that adds a provider destroys nothing, and nobody takes a message only to put it back."""
    async with (
        place_at(database_url, tmp_path, clock=clock, live=("fresh",)) as newer,
        place_at(database_url, tmp_path, clock=clock, live=("first",)) as older,
    ):
        begun = [await newer.begun(f"p{n}@example.org", application=LIVE) for n in range(20)]
        before = await older.database.read(query, "SELECT * FROM deliveries ORDER BY owner")
        for _ in range(3):
            assert await find_due(older.delivery, 64) == []  # else its rows would be locked in each turn, for nothing
            assert await older.deliver() == 0
            clock.forward(5 * SECOND)
        assert await older.database.read(query, "SELECT * FROM deliveries ORDER BY owner") == before
        assert await newer.deliver() == 20
        assert {(await newer.deliveries(one))[0].state for one in begun} == {DeliveryState.ACCEPTED}


async def test_a_receipt_that_is_missing_does_not_lead_to_a_provider_that_is_not_known(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    """D1, D10: the message moves on once, and waits there for a worker that knows the provider."""
    async with (
        place_at(database_url, tmp_path, clock=clock, live=("first", "fresh")) as newer,
        place_at(database_url, tmp_path, clock=clock, live=("first",)) as older,
    ):
        challenge = await newer.begun("ada@example.org", application=LIVE)
        await newer.change("UPDATE deliveries SET state = 'accepted', attempts = 1 WHERE owner = $1", challenge.id)
        assert [await older.deliver() for _ in range(2)] == [0, 0]
        (delivery,) = await newer.deliveries(challenge)
        assert (delivery.state, delivery.provider, delivery.reason) == (
            DeliveryState.QUEUED,
            "fresh",
            Reason.NO_RECEIPT,
        )
        assert await newer.deliver() == 1
        assert len(newer.carriers["fresh"].sent) == 1


async def test_what_an_older_release_wrote_is_sent_and_then_belongs_to_its_application(live: Place) -> None:
    """D10: it knows no queues, and runs beside this one while a release is rolled out."""
    challenge = await live.begun("ada@example.org", application=LIVE)
    await live.change("UPDATE deliveries SET queue = '', application = ''")
    assert await live.deliver() == 1
    (delivery,) = await live.deliveries(challenge)
    assert (delivery.state, delivery.application) == (DeliveryState.ACCEPTED, LIVE.id)
    # It moves messages on without a word in the column that it does not know.
    moved = await live.begun("bob@example.org", application=LIVE)
    await live.change("UPDATE deliveries SET leg = 1, queue = 'first email app_shop' WHERE owner = $1", moved.id)
    assert await live.deliver() == 1
    assert len(live.carriers["second"].sent) == 1


async def test_an_application_has_a_limit_of_its_own_and_our_pages_have_none(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    """L1, D10: by mail and by phone together, each lane apart."""
    rules = InstallationPolicy(destination=(), requester=(), application=(RateLimit("application", 3, MINUTE),))
    async with place_at(database_url, tmp_path, clock=clock, rules=rules, live=("first",)) as place:
        for to in ("a@example.org", "+491701234567", "b@example.org"):
            await place.begun(to, application=LIVE)
        spent = await place.begin("c@example.org", application=LIVE)
        assert isinstance(spent, Refused)
        assert (spent.refusal, spent.limit) == (Refusal.LIMITED, "application")
        assert spent.retry_after == 20 * SECOND
        await place.begun("c@example.org", application=OTHER)
        await place.begun("d@example.org", application=LIVE, device="remembered")  # a stronger lane
        for n in range(5):
            await place.begun(f"own{n}@example.org", application=place.core.own)
