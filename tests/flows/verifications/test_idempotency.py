"""Once: a request that is sent again under its key is answered again, and carried out once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.clock import MINUTE, SECOND, FixedClock
from tests.flows.place import SHOP, Place, approvals, done, place_at, refused

from countersign.domain.policy import InstallationPolicy
from countersign.domain.verifications.challenge import Action, Refusal
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.verifications.cancel import cancel_challenge
from countersign.flows.verifications.check import check_challenge
from countersign.flows.verifications.idempotency import ANSWER_LIFETIME, IdempotencyKey
from countersign.flows.verifications.resend import resend_code
from countersign.flows.verifications.results import KeyReused

if TYPE_CHECKING:
    from pathlib import Path


def once(key: bytes = b"key", request: bytes = b"request", application: str = "app_shop") -> IdempotencyKey:
    return IdempotencyKey((application, key), request)


async def test_the_same_request_under_the_same_key_is_answered_the_same(each_place: Place, clock: FixedClock) -> None:
    """H2: to the byte, and nothing is done twice."""
    place = each_place
    first = await place.begin(once=once())
    clock.forward(MINUTE)
    assert await place.begin(once=once()) == first
    assert len(await place.deliveries(done(first).challenge)) == 1
    assert await place.count("challenges") == 1


async def test_another_request_under_the_same_key_is_refused(each_place: Place) -> None:
    """H2: the key names one request."""
    place = each_place
    first = await place.begin(once=once())
    assert await place.begin("eve@example.org", once=once(request=b"another")) == KeyReused()
    assert await place.count("challenges") == 1
    assert await place.begin(once=once()) == first


async def test_two_at_once_under_one_key_are_one(each_place: Place) -> None:
    """H2: in one batch, or in two that run side by side."""
    place = each_place
    outcomes = await asyncio.gather(*(place.begin(once=once()) for _ in range(20)))
    assert {done(outcome).challenge.id for outcome in outcomes} == {done(outcomes[0]).challenge.id}
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert await place.count("deliveries") == 1


async def test_two_different_requests_at_once_under_one_key_are_one_and_a_refusal(each_place: Place) -> None:
    """H2: whichever comes first."""
    place = each_place
    outcomes = await asyncio.gather(
        *(place.begin(f"p{number}@example.org", once=once(request=bytes([number]))) for number in range(8))
    )
    assert outcomes.count(KeyReused()) == 7
    assert await place.count("challenges") == 1


async def test_a_key_is_its_applications(place: Place) -> None:
    first = await place.begin(once=once())
    second = await place.begin("eve@example.org", once=once(application="app_bank", request=b"another"))
    assert done(first).challenge.id != done(second).challenge.id


async def test_an_answer_that_is_sent_again_costs_one_guess(each_place: Place) -> None:
    """C5, H2: a client whose line broke does not lose two."""
    place = each_place
    challenge = await place.begun()
    first = await check_challenge(place.core, SHOP, challenge.id, place.wrong(challenge), once())
    assert await check_challenge(place.core, SHOP, challenge.id, place.wrong(challenge), once()) == first
    assert refused(first).refusal is Refusal.WRONG_CODE
    assert (await place.stored(challenge)).guesses == 1


async def test_a_right_answer_that_is_sent_again_hears_its_approval_again(place: Place) -> None:
    """C3, H2: it is one approval that is told twice."""
    challenge = await place.begun()
    code = place.code(challenge)
    outcomes = [await check_challenge(place.core, SHOP, challenge.id, code, once()) for _ in range(2)]
    assert len(approvals(outcomes)) == 2
    assert outcomes[0] == outcomes[1]
    other = await check_challenge(place.core, SHOP, challenge.id, code, once(b"other key"))
    assert refused(other).refusal is Refusal.ALREADY_APPROVED


async def test_resends_and_cancels_are_carried_out_once_too(place: Place, clock: FixedClock) -> None:
    challenge = await place.begun()
    clock.forward(30 * SECOND)
    sent = [await resend_code(place.core, SHOP, challenge.id, None, once(b"r")) for _ in range(2)]
    assert sent[0] == sent[1]
    assert len(await place.deliveries(challenge)) == 2
    ended = [await cancel_challenge(place.core, SHOP, challenge.id, once(b"c")) for _ in range(2)]
    assert ended[0] == ended[1]


async def test_a_refusal_that_time_lifts_is_judged_anew(sqlite_url: str, tmp_path: Path) -> None:
    """H2: a client that does as Retry-After says is not told the same for a day."""
    rules = InstallationPolicy(destination=(RateLimit("destination", 1, MINUTE),), requester=())
    async with place_at(sqlite_url, tmp_path, rules=rules) as place:
        await place.begun()
        again = Action(hash="again")
        assert refused(await place.begin(action=again, once=once())).refusal is Refusal.LIMITED
        place.clock.forward(MINUTE)
        done(await place.begin(action=again, once=once()))


async def test_an_answer_is_kept_for_a_day_and_then_the_key_is_free(each_place: Place, clock: FixedClock) -> None:
    """H2: kept 24 h, whether or not anybody swept in between."""
    place = each_place
    first = done(await place.begin(once=once()))
    clock.forward(ANSWER_LIFETIME - 1)
    assert await place.begin(once=once()) == first
    clock.forward(1)
    second = done(await place.begin("eve@example.org", once=once(request=b"another")))
    assert second.challenge.id != first.challenge.id
    assert await place.begin("eve@example.org", once=once(request=b"another")) == second
