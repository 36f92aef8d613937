"""Cancel and disown: an application ends what it began, a person what they did not ask for."""

from __future__ import annotations

import pytest
from tests.clock import MINUTE, FixedClock
from tests.flows.place import Place, done, refused

from countersign.domain.delivery.delivery import DeliveryState, Reason
from countersign.domain.shared.event import EventKind
from countersign.domain.verifications.challenge import ChallengeState, Refusal
from countersign.flows.verifications.cancel import find_reported, not_me_reference, report_challenge
from countersign.flows.verifications.results import Missing


async def test_a_canceled_challenge_takes_no_answer_and_sends_no_message(each_place: Place) -> None:
    """D1: what has ended is not sent."""
    place = each_place
    challenge = await place.begun()
    assert done(await place.cancel(challenge)).challenge.state is ChallengeState.CANCELED
    assert refused(await place.answer(challenge, place.code(challenge))).refusal is Refusal.CANCELED
    assert await place.deliver() == 0
    (delivery,) = await place.deliveries(challenge)
    assert (delivery.state, delivery.reason) == (DeliveryState.DROPPED, Reason.ENDED)
    assert place.inbox.sent == []


async def test_canceling_twice_is_no_fault_and_recorded_once(place: Place) -> None:
    challenge = await place.begun()
    first = done(await place.cancel(challenge))
    assert done(await place.cancel(challenge)) == first
    assert await place.kinds(challenge) == {EventKind.CHALLENGE_BEGUN: 1, EventKind.CHALLENGE_CANCELED: 1}


async def test_what_was_approved_cannot_be_canceled(place: Place, clock: FixedClock) -> None:
    challenge = await place.begun()
    done(await place.answer(challenge, place.code(challenge)))
    assert refused(await place.cancel(challenge)).refusal is Refusal.ALREADY_APPROVED
    late = await place.begun("eve@example.org")
    clock.forward(10 * MINUTE)
    assert refused(await place.cancel(late)).refusal is Refusal.EXPIRED


async def test_a_person_who_did_not_ask_ends_the_challenge(each_place: Place) -> None:
    place = each_place
    challenge = await place.begun()
    reference = not_me_reference(place.keyring, challenge.id)
    assert await find_reported(place.core, reference) == challenge
    assert (await place.stored(challenge)).state is ChallengeState.PENDING, "looking changes nothing"
    assert done(await report_challenge(place.core, reference)).challenge.state is ChallengeState.CANCELED
    assert (await place.kinds(challenge))[EventKind.CHALLENGE_DISOWNED] == 1
    assert refused(await place.answer(challenge, place.code(challenge))).refusal is Refusal.CANCELED


async def test_a_person_can_say_so_after_the_end_too_and_hears_how_it_ended(place: Place) -> None:
    challenge = await place.begun()
    done(await place.answer(challenge, place.code(challenge)))
    outcome = refused(await report_challenge(place.core, not_me_reference(place.keyring, challenge.id)))
    assert outcome.refusal is Refusal.ALREADY_APPROVED


async def test_the_message_itself_carries_the_reference(place: Place) -> None:
    """D6: how to say "not me"."""
    challenge = await place.begun()
    await place.deliver()
    assert not_me_reference(place.keyring, challenge.id) in place.inbox.sent[0].text


@pytest.mark.parametrize(
    "reference", ["", ".", "ver_1", "ver_1.", "ver_1.AAAA", "ver_1.\u00e9", "ver_1.=", ".AAAAAAAAAAAAAAAAAAAAAA"]
)
async def test_what_is_no_reference_of_ours_names_nothing(place: Place, reference: str) -> None:
    assert await find_reported(place.core, reference) is None
    assert await report_challenge(place.core, reference) == Missing()
