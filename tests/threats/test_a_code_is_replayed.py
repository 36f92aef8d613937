"""Somebody saw a code being typed, and types it again."""

from __future__ import annotations

import asyncio

from tests.clock import MINUTE, FixedClock
from tests.flows.place import SHOP, Place, approvals, done, refusals, refused

from countersign.domain.verifications.challenge import Action, ChallengeState
from countersign.flows.verifications.check import check_challenge
from countersign.flows.verifications.idempotency import IdempotencyKey
from countersign.flows.verifications.results import KeyReused


async def test_a_code_that_was_used_is_worth_nothing(each_place: Place) -> None:
    """C3: now, later, and in any number."""
    place = each_place
    challenge = await place.begun()
    code = place.code(challenge)
    done(await place.answer(challenge, code))
    replayed = await asyncio.gather(*(place.answer(challenge, code) for _ in range(20)))
    assert (approvals(replayed), refusals(replayed)) == ([], {"already_approved": 20})


async def test_a_code_that_was_used_opens_no_later_challenge(place: Place) -> None:
    """C3: the same person, purpose and action get a code of their own each time."""
    first = await place.begun()
    code = place.code(first)
    done(await place.answer(first, code))
    tried = 0
    for number in range(3):
        later = await place.begun(action=Action(hash=str(number)))
        if place.code(later) != code:
            tried += 1
            assert refused(await place.answer(later, code)).refusal.value == "wrong_code"
    assert tried


async def test_a_code_of_an_ended_challenge_is_worth_nothing_however_it_ended(place: Place, clock: FixedClock) -> None:
    challenge = await place.begun()
    done(await place.cancel(challenge))
    assert refused(await place.answer(challenge, place.code(challenge))).refusal.value == "canceled"
    late = await place.begun("eve@example.org")
    clock.forward(10 * MINUTE)
    assert refused(await place.answer(late, place.code(late))).refusal.value == "expired"
    clock.forward(-9 * MINUTE)
    assert refused(await place.answer(late, place.code(late))).refusal.value == "expired", "no clock brings it back"
    assert (await place.stored(late)).state is ChallengeState.EXPIRED


async def test_an_approval_is_not_stolen_by_guessing_its_idempotency_key(place: Place) -> None:
    """H2: the key without the very same request gives nothing away."""
    challenge = await place.begun()
    key = ("app_shop", b"key")
    done(
        await check_challenge(
            place.core, SHOP, challenge.id, place.code(challenge), IdempotencyKey(key, b"with the code")
        )
    )
    assert await check_challenge(place.core, SHOP, challenge.id, "x", IdempotencyKey(key, b"without it")) == KeyReused()
