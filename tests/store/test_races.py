"""Races: a hundred at once, over two ledgers with connections of their own, end as if one had come after the other."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.clock import DAY, MINUTE, NOON, SECOND, FixedClock
from tests.flows.place import UNLIMITED, Place, approvals, place_at, refusals, refused

from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.event import EventKind
from countersign.domain.verifications.challenge import Action, ChallengeState
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.errors import UnavailableError
from countersign.flows.maintenance.audit import verify_events
from countersign.flows.verifications.idempotency import IdempotencyKey
from countersign.flows.verifications.results import Done, Outcome
from countersign.store.engine.database import Rows, Sql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path


@contextlib.asynccontextmanager
async def programs(url: str, folder: Path, rules: InstallationPolicy = UNLIMITED) -> AsyncIterator[list[Place]]:
    """Open two programs on one PostgreSQL, or one on SQLite, which has one writing program."""
    clock = FixedClock()
    async with contextlib.AsyncExitStack() as stack:
        count = 1 if url.startswith("sqlite") else 2
        yield [await stack.enter_async_context(place_at(url, folder, clock=clock, rules=rules)) for _ in range(count)]


@pytest_asyncio.fixture
async def houses(database_url: str, tmp_path: Path) -> AsyncIterator[list[Place]]:
    """Programs without budgets that share a database and a clock."""
    async with programs(database_url, tmp_path) as opened:
        yield opened


async def _standings() -> Rows:
    rows = await Sql("SELECT in_a_row, in_day FROM standings")
    return [tuple(row) for row in rows]


async def _guesses() -> Rows:
    return await Sql("SELECT id, guesses FROM challenges")


def pass_time(houses: list[Place], ms: int) -> None:
    houses[0].clock.forward(ms)


async def at_once(*acts: Coroutine[None, None, Outcome]) -> list[Outcome]:
    """Carry out acts at once, started in a random order; what each gave, in the order given."""
    order = list(range(len(acts)))
    random.shuffle(order)
    given = await asyncio.gather(*(acts[index] for index in order))
    return [given[order.index(index)] for index in range(len(acts))]


async def assert_sound(houses: list[Place]) -> None:
    """What must hold after any race: an unbroken log."""
    report = await verify_events(houses[0].database, houses[0].keyring)
    assert report.findings == ()


@pytest.mark.parametrize("many", [50, 100])
async def test_of_many_right_answers_at_once_one_is_the_approval(houses: list[Place], many: int) -> None:
    """C3: exactly one; the others hear that it was approved already."""
    challenge = await houses[0].begun()
    code = houses[0].code(challenge)
    outcomes = await at_once(*(houses[number % len(houses)].answer(challenge, code) for number in range(many)))
    assert len(approvals(outcomes)) == 1
    assert refusals(outcomes) == {"already_approved": many - 1}
    assert (await houses[0].stored(challenge)).guesses == 1
    assert (await houses[0].kinds(challenge))[EventKind.CHALLENGE_APPROVED] == 1
    await assert_sound(houses)


async def test_of_a_hundred_wrong_answers_at_once_five_are_compared(houses: list[Place]) -> None:
    """C5: counted before they are compared, whoever wins."""
    challenge = await houses[0].begun()
    outcomes = await at_once(
        *(houses[number % len(houses)].answer(challenge, houses[0].wrong(challenge)) for number in range(100))
    )
    assert refusals(outcomes) == {"wrong_code": 5, "exhausted": 95}
    stored = await houses[0].stored(challenge)
    assert (stored.state, stored.guesses) == (ChallengeState.EXHAUSTED, 5)
    left = sorted(
        one.challenge.guesses_left
        for one in map(refused, outcomes)
        if one.refusal.value == "wrong_code" and one.challenge
    )
    assert left == [0, 1, 2, 3, 4]
    kinds = await houses[0].kinds(challenge)
    assert kinds[EventKind.CHALLENGE_REFUSED] + kinds[EventKind.CHALLENGE_EXHAUSTED] == 5
    await assert_sound(houses)


async def test_a_right_answer_among_wrong_ones_is_right_only_while_guesses_last(houses: list[Place]) -> None:
    """C3, C5: both at once."""
    for _ in range(10):
        challenge = await houses[0].begun(action=Action(hash=str(random.random())))
        typed = [houses[0].code(challenge)] * 3 + [houses[0].wrong(challenge)] * 12
        outcomes = await at_once(
            *(houses[number % len(houses)].answer(challenge, one) for number, one in enumerate(typed))
        )
        counted = refusals(outcomes)
        approved = len(approvals(outcomes))
        stored = await houses[0].stored(challenge)
        assert approved <= 1
        assert stored.guesses == approved + counted.get("wrong_code", 0) <= 5
        assert stored.state is (ChallengeState.APPROVED if approved else ChallengeState.EXHAUSTED)
        assert counted.get("already_approved", 0) == 0 or approved == 1
    await assert_sound(houses)


async def test_a_resend_against_an_answer_never_undoes_it(houses: list[Place]) -> None:
    """C3, C5: an approval stays, a spent guess stays, and a message is owed only for what was pending."""
    for _ in range(10):
        challenge = await houses[0].begun(action=Action(hash=str(random.random())))
        pass_time(houses, 30 * SECOND)
        code = houses[0].code(challenge)
        answers = [
            houses[number % len(houses)].answer(challenge, houses[0].wrong(challenge) if number else code)
            for number in range(4)
        ]
        resends = [houses[number % len(houses)].resend(challenge) for number in range(4)]
        outcomes = await at_once(*answers, *resends)
        stored = await houses[0].stored(challenge)
        assert stored.state is ChallengeState.APPROVED
        assert len(approvals(outcomes[:4])) == 1
        assert stored.guesses == 1 + refusals(outcomes[:4]).get("wrong_code", 0)
        sent = sum(isinstance(outcome, Done) for outcome in outcomes[4:])
        assert stored.sends == 1 + sent <= 2
        assert len(await houses[0].deliveries(challenge)) == stored.sends
    await assert_sound(houses)


async def test_a_cancel_against_an_answer_has_one_winner(houses: list[Place]) -> None:
    """C3: approved or canceled, and everybody hears which."""
    for _ in range(15):
        challenge = await houses[0].begun(action=Action(hash=str(random.random())))
        code = houses[0].code(challenge)
        answers = [houses[number % len(houses)].answer(challenge, code) for number in range(3)]
        cancels = [houses[number % len(houses)].cancel(challenge) for number in range(3)]
        outcomes = await at_once(*answers, *cancels)
        stored = await houses[0].stored(challenge)
        if stored.state is ChallengeState.APPROVED:
            assert len(approvals(outcomes[:3])) == 1
            assert refusals(outcomes) == {"already_approved": 5}
        else:
            assert stored.state is ChallengeState.CANCELED
            assert refusals(outcomes[:3]) == {"canceled": 3}
            assert all(isinstance(outcome, Done) for outcome in outcomes[3:])
    await assert_sound(houses)


async def test_twins_begun_at_once_are_one_challenge_with_one_message(houses: list[Place]) -> None:
    for round_ in range(5):
        to = f"p{round_}@example.org"
        outcomes = await at_once(*(houses[number % len(houses)].begin(to) for number in range(40)))
        assert len({one.challenge.id for one in outcomes if isinstance(one, Done)}) == 1
        assert sum(isinstance(one, Done) and not one.continued for one in outcomes) == 1
        assert await houses[0].count("challenges") == await houses[0].count("deliveries") == round_ + 1
    await assert_sound(houses)


async def test_twins_begun_at_once_after_one_ran_out_are_one_challenge(houses: list[Place]) -> None:
    """C2: the old one is recorded as expired once, and one new one begins."""
    old = await houses[0].begun()
    pass_time(houses, 10 * MINUTE)
    outcomes = await at_once(*(houses[number % len(houses)].begin() for number in range(40)))
    assert len({one.challenge.id for one in outcomes if isinstance(one, Done)}) == 1
    assert (await houses[0].stored(old)).state is ChallengeState.EXPIRED
    assert (await houses[0].kinds(old))[EventKind.CHALLENGE_EXPIRED] == 1
    assert await houses[0].count("challenges") == 2
    await assert_sound(houses)


async def test_failures_on_many_challenges_at_once_are_all_counted(houses: list[Place]) -> None:
    """C6: no parallel guess escapes the count of its contact, and at twenty a day the comparing ends."""
    challenges = [await houses[0].begun(action=Action(hash=str(number))) for number in range(30)]
    outcomes = await at_once(
        *(
            houses[number % len(houses)].answer(challenges[number % 30], houses[0].wrong(challenges[number % 30]))
            for number in range(90)
        )
    )
    assert refusals(outcomes) == {"wrong_code": 20, "contact_paused": 70}
    (row,) = await houses[0].database.read(_standings)
    assert row == (20, 20)
    assert refused(await houses[0].begin(action=Action(hash="more"))).refusal.value == "contact_paused"


async def test_never_more_than_a_hundred_failures_in_a_row_under_any_number_at_once(houses: list[Place]) -> None:
    """C6: the hundredth locks, and what comes at the same moment is not compared."""
    challenges = [await houses[0].begun(action=Action(hash=str(number)), device="remembered") for number in range(40)]
    outcomes = await at_once(
        *(
            houses[number % len(houses)].answer(challenges[number % 40], houses[0].wrong(challenges[number % 40]))
            for number in range(200)
        )
    )
    assert refusals(outcomes) == {"wrong_code": 100, "contact_locked": 100}
    (row,) = await houses[0].database.read(_standings)
    assert row[0] == 100


async def test_two_hundred_begins_at_once_never_pass_a_budget(database_url: str, tmp_path: Path) -> None:
    """No race wins a message more than the limits grant."""
    rules = InstallationPolicy(
        destination=(RateLimit("destination", 7, DAY),), requester=(RateLimit("requester", 20, DAY),)
    )
    async with programs(database_url, tmp_path, rules) as houses:
        to_one = await at_once(
            *(houses[number % len(houses)].begin(action=Action(hash=str(number))) for number in range(200))
        )
        assert sum(isinstance(one, Done) for one in to_one) == 7
        by_one = await at_once(
            *(houses[number % len(houses)].begin(f"p{number}@example.org", ip="203.0.113.9") for number in range(200))
        )
        assert sum(isinstance(one, Done) for one in by_one) == 20
        assert {one.limit for one in map(refused, (one for one in by_one if not isinstance(one, Done)))} == {
            "requester"
        }
        assert await houses[0].count("challenges") == await houses[0].count("deliveries") == 27
        await assert_sound(houses)


async def test_one_idempotency_key_at_once_in_two_programs_is_one_act(houses: list[Place]) -> None:
    """H2: in two batches of two programs."""
    once = IdempotencyKey(("app_shop", b"key"), b"request")
    outcomes = await at_once(*(houses[number % len(houses)].begin(once=once) for number in range(40)))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert await houses[0].count("deliveries") == 1


async def test_a_hot_set_in_random_order_meets_no_deadlock_and_loses_no_count(houses: list[Place]) -> None:
    """C5: three seconds of everything at once on twenty contacts; nobody is refused for the sake of another."""
    guesses: Counter[str] = Counter()
    approved: Counter[str] = Counter()
    unavailable: list[UnavailableError] = []
    acts = 0
    end = time.monotonic() + 3

    async def client(number: int) -> None:
        nonlocal acts
        chance, place = random.Random(number), houses[number % len(houses)]
        while time.monotonic() < end:
            to = f"p{chance.randrange(20)}@example.org"
            try:
                begun = await place.begin(to, device="remembered", ip=f"203.0.113.{chance.randrange(8)}")
                if not isinstance(begun, Done):
                    continue
                challenge = begun.challenge
                for _ in range(3):
                    right = chance.random() < 0.2
                    outcome = await place.answer(challenge, place.code(challenge) if right else place.wrong(challenge))
                    acts += 1
                    approved[challenge.id] += len(approvals([outcome]))
                    guesses[challenge.id] += len(approvals([outcome])) + refusals([outcome]).get("wrong_code", 0)
                if chance.random() < 0.2:
                    await place.cancel(challenge)
            except UnavailableError as error:
                unavailable.append(error)

    await asyncio.gather(*(client(number) for number in range(48)))
    assert unavailable == []
    assert acts > 300
    assert max(approved.values()) == 1
    rows = await houses[0].database.read(_guesses)
    assert {row[0]: row[1] for row in rows if row[1]} == {id_: count for id_, count in guesses.items() if count}
    assert houses[0].clock() == NOON
    await assert_sound(houses)
