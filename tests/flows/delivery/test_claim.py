"""Claims: each due message goes to one worker, unwanted ones are dropped, and failing providers are skipped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
from tests.clock import MINUTE, SECOND, FixedClock
from tests.flows.people import ada
from tests.flows.place import SHOP, Place, done, place_at, query

from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.delivery.circuit_breaker import RESTS
from countersign.domain.delivery.delivery import (
    Accepted,
    DeliveryState,
    Reason,
)
from countersign.domain.delivery.notice import LIFETIME
from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.shared.event import EventKind
from countersign.domain.verifications.challenge import ChallengeState
from countersign.domain.verifications.purpose import Policy, ResendMode
from countersign.errors import DeliveryFailedError
from countersign.flows.changes.apply import Applied
from countersign.flows.delivery.claim import claim_due
from countersign.store.tables import events, provider_health

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


async def test_a_claimed_message_is_nobody_elses(live: Place) -> None:
    """D2: two workers never send one message for one try."""
    challenge = await live.begun(application=LIVE)
    parcels = await asyncio.gather(*(claim_due(live.delivery, 10) for _ in range(5)))
    assert sorted(map(len, parcels)) == [0, 0, 0, 0, 1]
    assert (await only(live, challenge)).state is DeliveryState.SENDING


async def test_no_more_is_claimed_than_there_is_room_for_and_the_oldest_first(live: Place, clock: FixedClock) -> None:
    begun = []
    for number in range(5):
        begun.append(await live.begun(f"p{number}@example.org"))
        clock.forward(1)
    first, second = await claim_due(live.delivery, 3), await claim_due(live.delivery, 3)
    assert [parcel.owner.id for parcel in first + second] == [challenge.id for challenge in begun]
    assert len(first) == 3


@pytest.mark.parametrize("end", [ChallengeState.APPROVED, ChallengeState.CANCELED, ChallengeState.EXPIRED])
async def test_a_message_whose_challenge_has_ended_is_dropped(
    live: Place, clock: FixedClock, end: ChallengeState
) -> None:
    """D1: one that has expired, or whose challenge has ended, is not sent."""
    challenge = await live.begun(application=LIVE)
    if end is ChallengeState.APPROVED:
        await live.answer(challenge, live.code(challenge), LIVE)
    elif end is ChallengeState.CANCELED:
        await live.cancel(challenge)
    else:
        clock.forward(10 * MINUTE)
    assert await live.deliver() == 0
    delivery = await only(live, challenge)
    assert (delivery.state, delivery.ended) == (DeliveryState.DROPPED, True)
    assert delivery.reason is (Reason.EXPIRED if end is ChallengeState.EXPIRED else Reason.ENDED)
    assert live.carriers["first"].sent == []
    assert (await live.kinds(challenge))[EventKind.DELIVERY_DROPPED] == 1


@pytest.mark.parametrize(
    ("resend", "numbers"), [(ResendMode.SAME, [1, 2, 3]), (ResendMode.NEW, [3]), (ResendMode.OVERLAP, [2, 3])]
)
async def test_a_message_whose_code_works_no_more_is_dropped(
    sqlite_url: str, tmp_path: Path, resend: ResendMode, numbers: list[int]
) -> None:
    """C7: nobody is sent a code that will be refused."""
    rules = InstallationPolicy(policies={"sign_in": Policy(resend=resend)}, destination=(), requester=())
    async with place_at(sqlite_url, tmp_path, rules=rules) as place:
        challenge = await place.begun()
        for _ in range(2):
            place.clock.forward(30 * SECOND)
            done(await place.resend(challenge))
        await place.deliver()
        sent = [one.number for one in await place.deliveries(challenge) if one.state is DeliveryState.ACCEPTED]
        assert sent == numbers


DOWN = DeliveryFailedError("unreachable", permanent=False)


async def asked(place: Place, number: int = 0) -> Challenge:
    return await place.begun(f"+4917012345{number:02}", application=LIVE)


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
    known = await live.database.read(provider_health.find_breakers)
    assert known["first"].is_open(live.clock())
    await asked(live, 3)
    assert await live.deliver() == 1
    assert (len(live.carriers["first"].sent), len(live.carriers["second"].sent)) == (3, 4)
    (told,) = [
        event
        for event in await live.database.read(events.list_between, 0, 1 << 62)
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
    assert await live.database.read(provider_health.find_breakers) == {}
    await asked(live, 20)
    await live.deliver()
    assert len(live.carriers["first"].sent) == 5
    kinds = [event.kind for event in await live.database.read(events.list_between, 0, 1 << 62)]
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
    known = await live.database.read(provider_health.find_breakers)
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


async def test_no_second_message_is_sent_for_a_challenge_that_has_ended(live: Place, clock: FixedClock) -> None:
    """D1: the code was typed, so the receipt that is missing moves nothing."""
    live.carriers["first"].words.append(Accepted("m", 60_000))
    challenge = await asked(live)
    await live.deliver()
    done(await live.answer(challenge, live.code(challenge), LIVE))
    clock.forward(MINUTE)
    assert await live.deliver() == 0
    assert live.carriers["second"].sent == []


async def test_a_record_that_cannot_be_read_waits_and_stops_nobody_elses_message(
    live: Place, clock: FixedClock
) -> None:
    """D1: a newer program has written it, and that one will send its message."""
    strange, usual = await asked(live, 1), await asked(live, 2)
    await live.change("UPDATE challenges SET state = 'of a newer program' WHERE id = $1", strange.id)
    assert await live.deliver() == 1
    assert (await only(live, usual)).state is DeliveryState.ACCEPTED
    waiting = await only(live, strange)
    assert waiting.state is DeliveryState.QUEUED
    assert waiting.due_at is not None
    await live.change("UPDATE challenges SET state = 'pending' WHERE id = $1", strange.id)
    clock.forward(waiting.due_at - clock())
    assert await live.deliver() == 1
    assert (await only(live, strange)).state is DeliveryState.ACCEPTED


async def test_a_notice_of_last_week_is_not_sent(home: Place) -> None:
    """D1: its link reports nothing any more, and nobody is frightened by what is long over."""
    owner = await ada(home)
    await home.deliver()
    sent = len(home.inbox.sent)
    hashed = await home.accounts.passwords.hash("a better battery staple")
    assert isinstance(await owner.changes(ChangeRequest(ChangeKind.PASSWORD_CHANGED, password=hashed)), Applied)
    sent = len(home.inbox.sent)
    home.clock.forward(LIFETIME)
    assert await home.deliver() == 0
    assert len(home.inbox.sent) == sent
    rows = await home.database.read(query, "SELECT state, reason FROM deliveries WHERE owner LIKE 'ntc%'")
    assert (DeliveryState.DROPPED.value, Reason.EXPIRED.value) in {(state, reason) for state, reason in rows}
