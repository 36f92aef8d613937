"""Beginning where an earlier challenge of the same request has run out and nobody has recorded that: on both databases."""

from __future__ import annotations

import asyncio

from tests.clock import MINUTE, FixedClock
from tests.flows.place import Place, done, refused

from countersign.domain.shared.event import EventKind
from countersign.domain.verifications.challenge import ChallengeState, Refusal


async def test_a_request_that_ran_out_is_begun_anew_and_its_end_is_recorded(
    each_place: Place, clock: FixedClock
) -> None:
    """C2, B2: the old one ends before the new one stands, or the index of pending ones would refuse it."""
    place = each_place
    old = await place.begun()
    clock.forward(10 * MINUTE)
    new = await place.begun()
    assert new.id != old.id
    stored = await place.stored(old)
    assert (stored.state, stored.ended_at) == (ChallengeState.EXPIRED, old.expires_at)
    assert (await place.kinds(old))[EventKind.CHALLENGE_EXPIRED] == 1
    assert place.observed.sizes[-1] == 1  # one batch, one try
    assert refused(await place.answer(old, place.code(old))).refusal is Refusal.EXPIRED
    assert done(await place.answer(new, place.code(new))).challenge.state is ChallengeState.APPROVED


async def test_many_at_once_begin_one_anew(each_place: Place, clock: FixedClock) -> None:
    """C2."""
    place = each_place
    old = await place.begun()
    clock.forward(10 * MINUTE)
    found = [done(one).challenge.id for one in await asyncio.gather(*(place.begin() for _ in range(20)))]
    assert len(set(found)) == 1
    assert old.id not in found
    assert await place.count("challenges") == 2
    assert (await place.kinds(old))[EventKind.CHALLENGE_EXPIRED] == 1


async def test_one_that_is_still_pending_is_continued(each_place: Place, clock: FixedClock) -> None:
    place = each_place
    old = await place.begun()
    clock.forward(10 * MINUTE - 1)
    again = done(await place.begin())
    assert (again.challenge.id, again.continued) == (old.id, True)
