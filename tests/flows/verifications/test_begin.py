"""Begin: a code is asked for, and what follows when one is pending already, a budget is spent, or the contact is paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.clock import DAY, MINUTE, NOON, SECOND, FixedClock
from tests.flows.place import BANK, SHOP, Place, done, place_at, refused

from countersign.domain.delivery.delivery import DeliveryState
from countersign.domain.delivery.route import unweighted
from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import EventKind
from countersign.domain.verifications.challenge import Action, ChallengeState, Refusal
from countersign.domain.verifications.purpose import DEFAULT_POLICIES, Policy
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

LIVE = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)


async def fail(place: Place, times: int, **asked: str) -> None:
    """Answer wrong that often, over as many challenges as it takes."""
    for number in range(0, times, 5):
        challenge = await place.begun(action=Action(hash=f"{place.clock()}-{number}"), **asked)
        for _ in range(min(5, times - number)):
            refused(await place.answer(challenge, place.wrong(challenge)))


async def test_a_message_is_owed_the_moment_a_challenge_begins(each_place: Place) -> None:
    """D1: it is durable before the caller hears of it."""
    place = each_place
    begun = done(await place.begin("Ada@Example.org"))
    assert begun.challenge.state is ChallengeState.PENDING
    assert begun.challenge.terms.to_masked == "a***@example.org"
    assert not begun.continued
    assert await place.stored(begun.challenge) == begun.challenge
    assert await place.deliveries(begun.challenge) == [begun.delivery]
    assert begun.delivery is not None
    assert (begun.delivery.state, begun.delivery.due_at) == (DeliveryState.QUEUED, NOON)
    assert place.observed.owed == 1
    (told,) = await place.events(begun.challenge)
    assert (told.kind, told.application) == (EventKind.CHALLENGE_BEGUN, "app_shop")
    assert told.facts == {"purpose": "sign_in", "channel": "email", "to": "a***@example.org"}


async def test_asking_again_goes_on_with_the_pending_challenge(each_place: Place, clock: FixedClock) -> None:
    place = each_place
    first = await place.begun()
    early = done(await place.begin(" ADA@example.org"))
    assert (early.challenge, early.continued) == (first, True)
    assert early.delivery is not None
    assert early.delivery.number == 1  # the message there is: none more is owed
    clock.forward(30 * SECOND)
    later = done(await place.begin())
    assert (later.challenge.id, later.challenge.sends, later.continued) == (first.id, 2, True)
    assert later.challenge.expires_at == first.expires_at
    assert len(await place.deliveries(first)) == 2
    assert await place.count("challenges") == 1


async def test_asking_by_another_channel_redirects_the_pending_challenge(place: Place, clock: FixedClock) -> None:
    first = await place.begun("+14155550123", channel=Channel.SMS)
    clock.forward(30 * SECOND)
    later = done(await place.begin("+14155550123", channel=Channel.VOICE))
    assert (later.challenge.id, later.challenge.channel) == (first.id, Channel.VOICE)


@pytest.mark.parametrize(
    "other",
    [
        {"to": "eve@example.org"},
        {"subject": "user-43"},
        {"purpose": "step_up"},
        {"action": Action("Pay 10 EUR")},
        {"action": Action(hash="abc")},
        {"application": BANK},
    ],
)
async def test_what_differs_in_any_way_is_a_challenge_of_its_own(place: Place, other: dict[str, object]) -> None:
    """C4: application, subject, destination, purpose and action."""
    first = await place.begun()
    second = done(await place.begin(**other))  # type: ignore[arg-type]
    assert second.challenge.id != first.id
    assert not second.continued


@pytest.mark.parametrize(
    "end", [ChallengeState.APPROVED, ChallengeState.EXHAUSTED, ChallengeState.CANCELED, ChallengeState.EXPIRED]
)
async def test_after_an_end_a_new_challenge_begins(each_place: Place, clock: FixedClock, end: ChallengeState) -> None:
    place = each_place
    first = await place.begun()
    if end is ChallengeState.APPROVED:
        await place.answer(first, place.code(first))
    elif end is ChallengeState.EXHAUSTED:
        for _ in range(5):
            await place.answer(first, place.wrong(first))
    elif end is ChallengeState.CANCELED:
        await place.cancel(first)
    else:
        clock.forward(10 * MINUTE)
    second = await place.begun()
    assert second.id != first.id
    assert second.guesses_left == 5
    assert (await place.stored(first)).state is end
    if end is ChallengeState.EXPIRED:
        assert await place.kinds(first) == {EventKind.CHALLENGE_BEGUN: 1, EventKind.CHALLENGE_EXPIRED: 1}


async def test_a_purpose_that_is_not_known_or_not_the_applications_is_refused(place: Place) -> None:
    assert refused(await place.begin(purpose="make_coffee")).refusal is Refusal.PURPOSE_NOT_ALLOWED
    narrow = msgspec.structs.replace(SHOP, purposes=("step_up",))
    assert refused(await place.begin(application=narrow)).refusal is Refusal.PURPOSE_NOT_ALLOWED
    done(await place.begin(application=narrow, purpose="step_up"))


async def test_a_channel_that_does_not_fit_or_has_no_route_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    rules = InstallationPolicy(
        routes={Channel.EMAIL: unweighted("smtp")}, policies={"sign_in": Policy(channels=(Channel.EMAIL, Channel.SMS))}
    )
    async with place_at(sqlite_url, tmp_path, rules=rules) as place:
        wrong = refused(await place.begin(channel=Channel.SMS))
        assert (wrong.refusal, wrong.reason) == (Refusal.UNUSABLE_DESTINATION, "wrong_channel")
        assert refused(await place.begin("+14155550123", application=LIVE)).refusal is Refusal.CHANNEL_NOT_ALLOWED
        assert refused(await place.begin("+14155550123", channel=Channel.VOICE)).refusal is Refusal.CHANNEL_NOT_ALLOWED
        assert done(await place.begin(application=LIVE)).challenge.terms.live
        assert await place.count("challenges") == 1


async def test_a_requester_that_is_no_address_is_misuse_and_nothing_is_done(place: Place) -> None:
    with pytest.raises(InputError) as caught:
        await place.begin(ip="not an address")
    assert caught.value.field == "requester.ip"
    assert await place.count("challenges") == 0


async def test_a_spent_budget_names_itself_and_says_when_to_try_again(database_url: str, tmp_path: Path) -> None:
    rules = InstallationPolicy(
        destination=(RateLimit("destination", 3, 3 * MINUTE), RateLimit("destination_day", 4, DAY)), requester=()
    )
    async with place_at(database_url, tmp_path, rules=rules) as place:
        left = [done(await place.begin(action=Action(hash=str(number)))).rate_limit for number in range(3)]
        assert [(budget.name, budget.remaining) for budget in left if budget] == [
            ("destination", 2),
            ("destination", 1),
            ("destination", 0),
        ]
        met = refused(await place.begin(action=Action(hash="4")))
        assert (met.refusal, met.limit, met.retry_after) == (Refusal.LIMITED, "destination", MINUTE)
        assert await place.count("challenges") == 3
        place.clock.forward(MINUTE)
        done(await place.begin(action=Action(hash="4")))
        place.clock.forward(MINUTE)
        met = refused(await place.begin(action=Action(hash="5")))
        assert (met.limit, met.retry_after) == ("destination_day", 6 * 60 * MINUTE - 2 * MINUTE)


async def test_a_spent_budget_leaves_a_pending_challenge_as_it_is(sqlite_url: str, tmp_path: Path) -> None:
    rules = InstallationPolicy(destination=(RateLimit("destination", 1, 10 * MINUTE),), requester=())
    async with place_at(sqlite_url, tmp_path, rules=rules) as place:
        first = await place.begun()
        place.clock.forward(MINUTE)
        again = done(await place.begin())
        assert (again.challenge, again.continued) == (first, True)
        assert again.delivery is not None
        assert again.delivery.number == 1


async def test_a_requester_has_one_budget_for_all_whom_it_asks(sqlite_url: str, tmp_path: Path) -> None:
    rules = InstallationPolicy(destination=(), requester=(RateLimit("requester", 3, 3 * MINUTE),))
    async with place_at(sqlite_url, tmp_path, rules=rules) as place:
        for number in range(3):
            done(await place.begin(f"p{number}@example.org", ip=f"2001:db8::{number + 1}"))
        met = refused(await place.begin("p4@example.org", ip="2001:db8::ffff"))
        assert (met.refusal, met.limit) == (Refusal.LIMITED, "requester")
        done(await place.begin("p4@example.org", ip="2001:db8:0:1::1"))
        done(await place.begin("p5@example.org"))


async def test_twenty_wrong_answers_in_a_day_pause_new_browsers_for_the_rest_of_it(
    each_place: Place, clock: FixedClock
) -> None:
    """C6: across challenges, whoever asks from wherever."""
    place = each_place
    await fail(place, 20)
    clock.forward(MINUTE)
    met = refused(await place.begin(ip="203.0.113.9"))
    assert (met.refusal, met.limit, met.retry_after) == (Refusal.CONTACT_PAUSED, "contact_failures", DAY - MINUTE)
    done(await place.begin(device="a browser that is remembered"))
    done(await place.begin(subject="user-43"))
    done(await place.begin("ada@example.com"))
    clock.forward(DAY)
    done(await place.begin(action=Action(hash="tomorrow")))


async def test_a_stranger_never_meets_the_challenge_of_a_remembered_browser(each_place: Place) -> None:
    """C6: their wrong answers count in their own lane, and neither end the owner's challenge nor bar its resend."""
    place = each_place
    owners = await place.begun(device="remembered")
    for _ in range(4):
        strangers = await place.begun()
        assert strangers.id != owners.id
        for _ in range(5):
            await place.answer(strangers, place.wrong(strangers))
    assert refused(await place.begin()).refusal is Refusal.CONTACT_PAUSED
    assert (await place.stored(owners)).guesses == 0
    again = done(await place.begin(device="remembered"))
    assert (again.continued, again.challenge.id) == (True, owners.id)
    done(await place.answer(owners, place.code(owners)))


async def test_a_hundred_wrong_answers_in_a_row_lock_the_contact_until_it_is_bound_anew(
    place: Place, clock: FixedClock
) -> None:
    """C6: never more than 100, on any lane; only a purpose that binds is open, and its approval lifts the lock."""
    waiting = await place.begun(purpose="step_up")
    for _ in range(5):
        await fail(place, 20, device="remembered")
        clock.forward(1)
    assert refused(await place.begin(device="remembered", action=Action(hash="new"))).refusal is Refusal.CONTACT_LOCKED
    assert refused(await place.answer(waiting, place.code(waiting))).refusal is Refusal.CONTACT_LOCKED
    assert (await place.stored(waiting)).state is ChallengeState.PENDING
    binding = await place.begun(purpose="bind_contact")
    done(await place.answer(binding, place.code(binding)))
    done(await place.answer(waiting, place.code(waiting)))


async def test_a_right_answer_clears_its_own_count_and_no_other(place: Place) -> None:
    """C6: another account's failures stay."""
    await fail(place, 19)
    await fail(place, 20, subject="user-43")
    challenge = await place.begun()
    done(await place.answer(challenge, place.code(challenge)))
    await fail(place, 19)
    done(await place.begin(action=Action(hash="more")))
    assert refused(await place.begin(subject="user-43")).refusal is Refusal.CONTACT_PAUSED


async def test_each_policy_shapes_its_own_codes(sqlite_url: str, tmp_path: Path) -> None:
    rules = InstallationPolicy(
        policies={**DEFAULT_POLICIES, "brief": Policy(lifetime=60, guesses=1)}, destination=(), requester=()
    )
    async with place_at(sqlite_url, tmp_path, rules=rules) as place:
        brief = await place.begun(purpose="brief")
        assert (brief.expires_at - brief.begun_at, brief.guesses_left) == (MINUTE, 1)
        await place.answer(brief, place.wrong(brief))
        assert refused(await place.answer(brief, place.code(brief))).refusal is Refusal.EXHAUSTED
