"""Sending: a message goes to its provider, and the result is recorded once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
from tests.clock import FixedClock
from tests.flows.place import SHOP, Place, place_at, says

from countersign.domain.delivery.delivery import (
    LEASE,
    Accepted,
    DeliveryState,
    Failure,
    Message,
    Reason,
)
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import EventKind
from countersign.domain.verifications.challenge import ChallengeState
from countersign.errors import DeliveryFailedError
from countersign.flows.delivery import send as deliver
from countersign.flows.delivery.claim import claim_due
from countersign.flows.delivery.send import record_results, release_claims, renew_leases, send
from countersign.flows.delivery.stranded import STRANDED_AFTER, rescue_stranded
from countersign.store.tables import deliveries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from countersign.domain.delivery.delivery import Delivery
    from countersign.domain.verifications.challenge import Challenge


LIVE = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)

BUSY = DeliveryFailedError("throttled", permanent=False)

NO = DeliveryFailedError("refused", permanent=True)


@pytest_asyncio.fixture
async def live(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place with a route of two carriers, on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=("first", "second")) as opened:
        yield opened


async def only(place: Place, challenge: Challenge) -> Delivery:
    (delivery,) = await place.deliveries(challenge)
    return delivery


async def test_a_message_goes_out_with_the_code_and_is_accepted(live: Place) -> None:
    challenge = await live.begun(application=LIVE)
    assert await live.deliver() == 1
    (message,) = live.carriers["first"].sent
    assert says(message, live.code(challenge))
    assert (message.to, message.channel, message.key) == ("ada@example.org", Channel.EMAIL, f"{challenge.id}.1.0")
    assert live.code(challenge) not in message.subject
    delivery = await only(live, challenge)
    assert (delivery.state, delivery.ended, delivery.attempts) == (DeliveryState.ACCEPTED, True, 1)
    (attempt,) = await live.database.read(deliveries.list_attempts, challenge.id)
    assert (attempt.provider, attempt.outcome, attempt.provider_message_id) == ("first", "accepted", "m1")
    assert (await live.kinds(challenge))[EventKind.DELIVERY_ACCEPTED] == 1
    assert await live.deliver() == 0


async def test_test_keys_never_reach_a_real_carrier(live: Place) -> None:
    await live.begun()
    assert await live.deliver() == 1
    assert (len(live.inbox.sent), live.carriers["first"].sent, live.carriers["second"].sent) == (1, [], [])


async def test_a_failure_moves_to_the_next_route_at_once_with_the_same_code(live: Place) -> None:
    """D2."""
    live.carriers["first"].words.append(BUSY)
    challenge = await live.begun(application=LIVE)
    assert [await live.deliver() for _ in range(3)] == [1, 1, 0]
    sent = [*live.carriers["first"].sent, *live.carriers["second"].sent]
    assert [message.key for message in sent] == [f"{challenge.id}.1.0", f"{challenge.id}.1.1"]
    assert all(says(message, live.code(challenge)) for message in sent)
    assert (await only(live, challenge)).state is DeliveryState.ACCEPTED
    kinds = await live.kinds(challenge)
    assert (kinds[EventKind.DELIVERY_RETRIED], kinds[EventKind.DELIVERY_ACCEPTED]) == (1, 1)


async def test_a_message_that_no_route_takes_is_a_dead_letter_with_its_reason(live: Place) -> None:
    """D2: permanent refusals are not retried."""
    for name in ("first", "second"):
        live.carriers[name].words.append(NO)
    challenge = await live.begun(application=LIVE)
    assert [await live.deliver() for _ in range(3)] == [1, 1, 0]
    delivery = await only(live, challenge)
    assert (delivery.state, delivery.reason, delivery.ended) == (DeliveryState.FAILED, Reason.REFUSED, True)
    assert (await live.kinds(challenge))[EventKind.DELIVERY_FAILED] == 1
    assert (await live.stored(challenge)).state is ChallengeState.PENDING, "the person may still ask for another way"


async def test_a_lost_lease_is_taken_up_and_the_late_word_changes_nothing(live: Place, clock: FixedClock) -> None:
    """D1: a worker that died, or only seemed to."""
    challenge = await live.begun(application=LIVE)
    (slow,) = await claim_due(live.delivery, 1)
    clock.forward(LEASE - 1)
    assert await claim_due(live.delivery, 1) == []
    clock.forward(1)
    (again,) = await claim_due(live.delivery, 1)
    assert (again.delivery.attempts, again.delivery.key) == (2, slow.delivery.key)
    live.carriers["first"].words.append(NO)
    await record_results(live.delivery, [await send(live.delivery, slow)])
    assert (await only(live, challenge)).state is DeliveryState.SENDING
    await record_results(live.delivery, [await send(live.delivery, again)])
    assert (await only(live, challenge)).state is DeliveryState.ACCEPTED
    attempts = await live.database.read(deliveries.list_attempts, challenge.id)
    assert [(one.attempt, one.outcome) for one in attempts] == [(1, "failed"), (2, "accepted")]


async def test_what_is_given_back_is_taken_at_once_by_another(live: Place) -> None:
    """O1: a worker that stops gives its claims back."""
    challenge = await live.begun(application=LIVE)
    parcels = await claim_due(live.delivery, 1)
    await release_claims(live.delivery, parcels)
    assert (await only(live, challenge)).attempts == 0
    (again,) = await claim_due(live.delivery, 1)
    await record_results(live.delivery, [await send(live.delivery, again)])
    await release_claims(live.delivery, parcels)
    assert (await only(live, challenge)).state is DeliveryState.ACCEPTED, "what was sent cannot be given back"


async def test_what_came_of_a_try_can_be_written_down_twice(live: Place) -> None:
    """O1: a commit whose outcome is not known is tried again."""
    challenge = await live.begun(application=LIVE)
    (parcel,) = await claim_due(live.delivery, 1)
    result = await send(live.delivery, parcel)
    await record_results(live.delivery, [result])
    await record_results(live.delivery, [result])
    assert len(await live.database.read(deliveries.list_attempts, challenge.id)) == 1
    assert (await live.kinds(challenge))[EventKind.DELIVERY_ACCEPTED] == 1


async def test_a_providers_id_with_nul_in_it_does_not_keep_the_others_from_being_written_down(live: Place) -> None:
    live.carriers["first"].words.append(Accepted("m\x00\ud8001"))
    broken, whole = await live.begun(application=LIVE), await live.begun("eve@example.org", application=LIVE)
    assert await live.deliver() == 2
    assert (await only(live, broken)).state is (await only(live, whole)).state is DeliveryState.ACCEPTED


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (DeliveryFailedError("mailbox_full", permanent=False, retry_after=7), Reason.MAILBOX_FULL),
        (DeliveryFailedError("no such reason", permanent=False), Reason.PROVIDER_ERROR),
        (TimeoutError(), Reason.TIMED_OUT),
        (ZeroDivisionError("918273"), Reason.PROVIDER_ERROR),
    ],
)
async def test_every_way_to_fail_comes_back_as_a_failure(place: Place, raised: Exception, reason: Reason) -> None:
    """D2: none stops the others' messages."""
    place.inbox.words.append(raised)
    await place.begun()
    (parcel,) = await claim_due(place.delivery, 1)
    word = (await send(place.delivery, parcel)).answer
    assert isinstance(word, Failure)
    assert (word.reason, word.permanent) == (reason, False)
    assert word.retry_after == (7_000 if reason is Reason.MAILBOX_FULL else None)


async def test_a_provider_that_never_answers_is_left(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hung:
        async def send(self, message: Message) -> Accepted:
            await asyncio.Event().wait()
            raise AssertionError(message)

        async def close(self) -> None:
            """Nothing is kept open."""

    monkeypatch.setattr(deliver, "MAX_SEND_SECONDS", 0.01)
    await place.begun()
    (parcel,) = await claim_due(place.delivery, 1)
    hung = msgspec.structs.replace(place.delivery, providers={"inbox": Hung()})
    assert (await send(hung, parcel)).answer == Failure(Reason.TIMED_OUT, permanent=False)


async def test_a_provider_that_is_no_longer_in_the_settings_is_passed_over(live: Place, clock: FixedClock) -> None:
    """D2, D10: after half a minute, in which a worker may come that knows it."""
    challenge = await live.begun(application=LIVE)
    live.delivery = msgspec.structs.replace(live.delivery, providers={"second": live.carriers["second"]})
    assert await live.deliver() == 0
    clock.forward(STRANDED_AFTER)
    await rescue_stranded(live.delivery)
    assert await live.deliver() == 1
    assert len(live.carriers["second"].sent) == 1
    assert (await only(live, challenge)).provider == "second"


async def test_a_message_that_takes_long_is_held_on_to(place: Place, clock: FixedClock) -> None:
    """D2: a slow provider is no dead worker: nobody else takes the message while its lease is renewed."""
    await place.begun()
    (parcel,) = await claim_due(place.delivery, 1)
    for _ in range(5):
        clock.forward(LEASE - 1)
        assert await claim_due(place.delivery, 1) == []
        await renew_leases(place.delivery, [parcel])
    clock.forward(LEASE)
    assert len(await claim_due(place.delivery, 1)) == 1
    await renew_leases(place.delivery, [parcel])  # too late: another has it, whose claim stays as it is
    clock.forward(LEASE)
    assert len(await claim_due(place.delivery, 1)) == 1


async def asked(place: Place, number: int = 0) -> Challenge:
    return await place.begun(f"+4917012345{number:02}", application=LIVE)


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
