"""Resend and redirect: one more message, and neither more time nor more guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.clock import MINUTE, NOON, SECOND, FixedClock
from tests.flows.place import SHOP, Place, done, place_at, refused, says

from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import EventKind
from countersign.domain.verifications.challenge import Action, ChallengeState, Refusal
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.verifications.results import Missing

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_resend_owes_another_message_with_the_same_code(each_place: Place, clock: FixedClock) -> None:
    """C7: a late first message still works."""
    place = each_place
    challenge = await place.begun()
    clock.forward(30 * SECOND)
    again = done(await place.resend(challenge))
    assert (again.challenge.sends_left, again.challenge.resend_at) == (3, NOON + MINUTE)
    assert [one.number for one in await place.deliveries(challenge)] == [1, 2]
    assert await place.deliver() == 2
    assert all(says(message, place.code(challenge)) for message in place.inbox.sent)
    assert (await place.kinds(challenge))[EventKind.CHALLENGE_RESENT] == 1
    assert place.observed.owed == 2


async def test_a_resend_that_comes_too_soon_says_when_to_ask(place: Place, clock: FixedClock) -> None:
    challenge = await place.begun()
    clock.forward(10 * SECOND)
    met = refused(await place.resend(challenge))
    assert (met.refusal, met.retry_after) == (Refusal.TOO_SOON, 20 * SECOND)
    assert len(await place.deliveries(challenge)) == 1


async def test_after_the_last_message_there_is_only_waiting_for_the_end(place: Place, clock: FixedClock) -> None:
    challenge = await place.begun()
    for _ in range(4):
        clock.forward(30 * SECOND)
        done(await place.resend(challenge))
    clock.forward(MINUTE)
    met = refused(await place.resend(challenge))
    assert (met.refusal, met.retry_after) == (Refusal.NO_SENDS_LEFT, 7 * MINUTE)


async def test_a_redirect_goes_by_the_other_channel(place: Place, clock: FixedClock) -> None:
    challenge = await place.begun("+14155550123")
    clock.forward(30 * SECOND)
    assert done(await place.resend(challenge, Channel.VOICE)).challenge.channel is Channel.VOICE
    await place.deliver()
    assert [message.channel for message in place.inbox.sent] == [Channel.SMS, Channel.VOICE]
    assert refused(await place.resend(challenge, Channel.EMAIL)).refusal is Refusal.UNUSABLE_DESTINATION


async def test_a_channel_whose_route_is_gone_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    async with place_at(sqlite_url, tmp_path, live=("webhook",)) as place:
        challenge = await place.begun(
            "+14155550123", application=msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)
        )
    async with place_at(sqlite_url, tmp_path, clock=FixedClock(NOON + MINUTE)) as later:
        assert refused(await later.resend(challenge)).refusal is Refusal.CHANNEL_NOT_ALLOWED


@pytest.mark.parametrize("end", [ChallengeState.APPROVED, ChallengeState.CANCELED, ChallengeState.EXPIRED])
async def test_nothing_is_sent_for_what_has_ended(place: Place, clock: FixedClock, end: ChallengeState) -> None:
    challenge = await place.begun()
    if end is ChallengeState.APPROVED:
        await place.answer(challenge, place.code(challenge))
    if end is ChallengeState.CANCELED:
        await place.cancel(challenge)
    clock.forward(10 * MINUTE)
    assert refused(await place.resend(challenge)).refusal.value in {"already_approved", "canceled", "expired"}
    assert len(await place.deliveries(challenge)) == 1


async def test_a_resend_counts_against_the_budgets_that_the_begin_counted_against(
    sqlite_url: str, tmp_path: Path
) -> None:
    rules = InstallationPolicy(destination=(RateLimit("destination", 2, 20 * MINUTE),), requester=())
    async with place_at(sqlite_url, tmp_path, rules=rules) as place:
        challenge = await place.begun()
        place.clock.forward(MINUTE)
        budget = done(await place.resend(challenge)).rate_limit
        assert budget is not None
        assert (budget.name, budget.remaining) == ("destination", 0)
        place.clock.forward(MINUTE)
        met = refused(await place.resend(challenge))
        assert (met.refusal, met.limit, met.retry_after) == (Refusal.LIMITED, "destination", 8 * MINUTE)
        assert (await place.stored(challenge)).sends == 2


async def test_nobody_can_resend_what_does_not_exist(place: Place) -> None:
    challenge = await place.begun()
    assert await place.resend(msgspec.structs.replace(challenge, id="ver_0")) == Missing()


async def test_a_contact_that_is_paused_gets_no_further_message(place: Place, clock: FixedClock) -> None:
    """C6: its code would not be compared; a remembered browser goes on."""
    pending, owners = await place.begun(), await place.begun(device="remembered")
    for number in range(4):
        challenge = await place.begun(action=Action(hash=str(number)))
        for _ in range(5):
            await place.answer(challenge, place.wrong(challenge))
    clock.forward(30 * SECOND)
    met = refused(await place.resend(pending))
    assert (met.refusal, met.limit) == (Refusal.CONTACT_PAUSED, "contact_failures")
    assert len(await place.deliveries(pending)) == 1
    done(await place.resend(owners))
