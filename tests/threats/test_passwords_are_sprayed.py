"""Threat: somebody guesses passwords and codes: at many names, by every name of one account, or for as long as it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
from tests.clock import DAY, HOUR
from tests.flows.authenticators import app_code, enrols_app, recovery_codes
from tests.flows.people import ADA, CARRIER, PASSWORD, Visitor, ada
from tests.flows.place import Place, place_at

from countersign.domain.accounts.session import Level, ProofRequirement
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.lockout import LOCK_AFTER
from countersign.flows.accounts.authenticator import InvalidCode
from countersign.flows.accounts.context import (
    BrowserContext,
    CodeRequested,
    InvalidCredentials,
    InvalidInput,
    SignedIn,
)
from countersign.flows.changes.apply import Applied
from countersign.flows.sign_in.authenticator import prove_with_app, prove_with_recovery_code
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.sign_in.guess_counters import ATTEMPTS_PER_IDENTIFIER, ATTEMPTS_PER_NETWORK
from countersign.flows.sign_in.recover import begin_delayed_recovery
from countersign.flows.verifications.results import Refused
from countersign.totp import STEP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.clock import FixedClock

PHONE = "+14155550123"
WRONG = "a wrong password"


@pytest_asyncio.fixture
async def home_once(sqlite_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place without budgets, on SQLite alone, for attacks that take hundreds of requests."""
    async with place_at(sqlite_url, tmp_path, clock=clock, live=(CARRIER,)) as opened:
        yield opened


def at(place: Place, ip: str) -> Visitor:
    return Visitor(place, BrowserContext(ip=ip, user_agent="curl", locale="en"))


def somewhere(place: Place, number: int) -> Visitor:
    """Return a browser at one of many networks, no two of which are near each other."""
    return at(place, f"198.{18 + number // 250 % 2}.{number % 250}.7")


async def test_one_network_tries_a_limited_number_of_names(home: Place) -> None:
    """L5: and its owner's trusted browser there is let by."""
    await ada(home)
    owner = at(home, "192.0.2.7")
    await owner.is_let_in(remember=True)
    home.clock.forward(ATTEMPTS_PER_NETWORK.period)
    for number in range(ATTEMPTS_PER_NETWORK.burst):
        outcome = await at(home, "192.0.2.7").signs_in(f"nobody{number}@example.org", WRONG)
        assert isinstance(outcome, InvalidCredentials)
    outcome = await at(home, "192.0.2.7").signs_in("one.more@example.org", WRONG)
    assert isinstance(outcome, Refused)
    assert outcome.refusal is Refusal.LIMITED
    assert isinstance(await owner.signs_in(), SignedIn)
    assert isinstance(await at(home, "192.0.2.8").signs_in(), CodeRequested)


async def test_the_addresses_of_one_subscriber_are_one_network(home_once: Place) -> None:
    """L5: a /64 for each guess is of no use, for the /48 around them has a limit too."""
    refused = 0
    for number in range(17 * ATTEMPTS_PER_NETWORK.burst):
        outcome = await at(home_once, f"2001:db8:7:{number:x}::1").signs_in(f"n{number % 50}@example.org", WRONG)
        refused += isinstance(outcome, Refused)
    assert refused == ATTEMPTS_PER_NETWORK.burst
    assert isinstance(await at(home_once, "2001:db8:8::1").signs_in("x@example.org", WRONG), InvalidCredentials)


async def test_a_network_over_its_limit_uses_up_no_attempts_of_an_account(home: Place) -> None:
    """L1: what is refused counts nowhere."""
    await ada(home)
    for number in range(ATTEMPTS_PER_NETWORK.burst):
        await at(home, "192.0.2.7").signs_in(f"nobody{number}@example.org", WRONG)
    for _ in range(3 * ATTEMPTS_PER_IDENTIFIER.burst):
        assert isinstance(await at(home, "192.0.2.7").signs_in(password=WRONG), Refused)
    assert isinstance(await at(home, "192.0.2.8").signs_in(), CodeRequested)


async def test_a_network_over_its_limit_writes_nothing(home: Place) -> None:
    """L5: each further guess was two rows that are kept for a day, as fast as anybody could ask."""
    for number in range(ATTEMPTS_PER_NETWORK.burst):
        await at(home, "192.0.2.7").signs_in(f"nobody{number}@example.org", WRONG)
    before = [await home.count(table) for table in ("limits", "standings")]
    for number in range(20):
        assert isinstance(await at(home, "192.0.2.7").signs_in(f"other{number}@example.org", WRONG), Refused)
    assert [await home.count(table) for table in ("limits", "standings")] == before


async def test_all_names_of_an_account_share_one_count(home: Place) -> None:
    """L3: ten wrong ones by mail are ten by phone too, and the answer says nothing of it."""
    owner = await ada(home)
    await owner.adds(PHONE)
    for number in range(ATTEMPTS_PER_IDENTIFIER.burst):
        assert isinstance(await somewhere(home, number).signs_in(ADA, WRONG), InvalidCredentials)
    assert isinstance(await somewhere(home, 20).signs_in(PHONE), InvalidCredentials)
    home.clock.forward(ATTEMPTS_PER_IDENTIFIER.period)
    assert isinstance(await somewhere(home, 21).signs_in(PHONE), CodeRequested)


async def test_a_hundred_wrong_passwords_in_a_row_are_compared_by_whichever_names(home: Place) -> None:
    """L3: spread over hours and networks; an unknown name gives the same answers."""
    owner = await ada(home)
    await owner.adds(PHONE)
    for number in range(LOCK_AFTER):
        assert isinstance(await somewhere(home, number).signs_in((ADA, PHONE)[number % 2], WRONG), InvalidCredentials)
        home.clock.forward(91_000)
    for name in (ADA, PHONE, "nobody@example.org"):
        assert isinstance(await somewhere(home, 200).signs_in(name), InvalidCredentials)


async def test_many_passwords_at_once_are_counted_before_they_are_compared(home: Place) -> None:
    """C5, L3."""
    import asyncio

    await ada(home)
    outcomes = await asyncio.gather(*(somewhere(home, number).signs_in(password=WRONG) for number in range(40)))
    assert all(isinstance(outcome, InvalidCredentials) for outcome in outcomes)
    assert isinstance(await somewhere(home, 50).signs_in(), InvalidCredentials)


async def test_names_that_nobody_has_leave_no_counts_for_good(home: Place) -> None:
    """L2: anybody can make such rows, so the sweep deletes them after a day."""
    from countersign.store.tables import rate_limits

    await ada(home)
    await somewhere(home, 1).signs_in(password=WRONG)
    await somewhere(home, 2).signs_in("nobody@example.org", WRONG)
    assert await home.count("standings") == 2
    home.clock.forward(2 * DAY)
    await home.database.run(rate_limits.delete_expired, home.clock(), home.clock() - DAY)
    assert await home.count("standings") == 1


async def spends(visitor: Visitor) -> int:
    """Give five wrong app codes; return how many were compared."""
    compared = 0
    for _ in range(5):
        outcome = await prove_with_app(visitor.place.accounts, visitor.browser, "000000", remember=False)
        compared += isinstance(outcome, InvalidCode)
    return compared


async def test_a_hundred_wrong_app_codes_in_a_row_stop_their_own_lane(home: Place) -> None:
    """L3, L1: a right code is not compared then, sessions go on, and a recovery code opens the app again."""
    owner = await ada(home)
    codes = await recovery_codes(owner)
    secret = await enrols_app(owner)
    compared = 0
    for number in range(60):
        thief = somewhere(home, number)
        assert isinstance(await thief.signs_in(), CodeRequested)
        compared += await spends(thief)
        home.clock.forward(4 * HOUR)
    assert compared == LOCK_AFTER
    fresh = Visitor(home)
    assert isinstance(await fresh.signs_in(), CodeRequested)
    refused = await app_code(fresh, secret)
    assert isinstance(refused, Refused)
    assert refused.refusal is Refusal.LIMITED
    proved = await prove_with_recovery_code(home.accounts, fresh.browser, codes[0], remember=False)
    assert isinstance(fresh._kept(proved), SignedIn)
    assert isinstance(await fresh.steps_up(ProofRequirement(Level.APP_CODE, 1)), CodeRequested)
    assert isinstance(await app_code(fresh, secret), SignedIn)
    home.clock.forward(5 * STEP)
    again = Visitor(home)
    assert isinstance(await again.signs_in(), CodeRequested)
    assert isinstance(await app_code(again, secret), SignedIn)


async def test_a_new_password_opens_what_guesses_after_the_old_one_stopped(home_once: Place) -> None:
    """L3: whoever guessed knew the old one."""
    owner = await ada(home_once)
    secret = await enrols_app(owner)
    for number in range(60):
        thief = somewhere(home_once, number)
        await thief.signs_in()
        await spends(thief)
        home_once.clock.forward(4 * HOUR)
    fresh = Visitor(home_once)
    await fresh.recovers()
    assert isinstance(await fresh.types(await fresh.code()), PasswordResetAllowed)
    assert isinstance(await fresh.chooses("a better battery staple"), Applied)
    assert isinstance(await fresh.signs_in(password="a better battery staple"), CodeRequested)
    assert isinstance(await app_code(fresh, secret), SignedIn)


async def test_the_current_password_is_tried_five_times_a_day_by_who_holds_a_mailbox(home_once: Place) -> None:
    """R2, L3: the right one is not compared after five wrong ones, nor the hundred and first in a row."""
    await ada(home_once)
    thief = Visitor(home_once)

    async def chooses(current: str) -> object:
        return await thief.chooses("a better battery staple", current)

    async def proves() -> None:
        assert isinstance(await thief.recovers(), CodeRequested)
        assert isinstance(await thief.types(await thief.code()), PasswordResetAllowed)

    await proves()
    for _ in range(5):
        assert isinstance(await chooses(WRONG), InvalidInput)
    assert isinstance(await chooses(PASSWORD), InvalidInput)
    for _ in range(LOCK_AFTER // 5):
        home_once.clock.forward(DAY)
        await proves()
        for _ in range(5):
            await chooses(WRONG)
    home_once.clock.forward(DAY)
    await proves()
    assert isinstance(await chooses(PASSWORD), InvalidInput)


async def test_delayed_recoveries_are_limited_by_network(home: Place) -> None:
    """R1, L5: mail to anybody costs the one who asks."""
    outcomes = [
        await begin_delayed_recovery(home.accounts, BrowserContext(ip="192.0.2.7"), ADA, f"z{number}@example.net")
        for number in range(21)
    ]
    assert [isinstance(outcome, CodeRequested) for outcome in outcomes] == [True] * 20 + [False]


async def test_one_proof_begins_one_delayed_recovery(home: Place) -> None:
    """C3, R5: two answers at once, each with the right code."""
    import asyncio

    await ada(home)
    thief = Visitor(home)
    thief._kept(await begin_delayed_recovery(home.accounts, thief.browser, ADA, "z@example.net"))
    code = await thief.code("z@example.net")
    twins = [Visitor(home, msgspec.structs.replace(thief.browser)) for _ in range(4)]
    await asyncio.gather(*(twin.types(code) for twin in twins))
    assert await home.count("changes") == 1


@pytest.mark.parametrize("lane", ["session", "trusted"])
async def test_a_code_by_a_second_method_counts_for_its_contact_and_account(home: Place, lane: str) -> None:
    """C6: and not for nobody, so that choosing another method gives no guess back beyond the day."""
    owner = await ada(home)
    await owner.adds(PHONE)
    if lane == "trusted":
        owner = Visitor(home)
        await owner.is_let_in(remember=True)
    home.clock.forward(HOUR)
    await owner.steps_up(ProofRequirement(Level.MAIL_CODE, 0))
    seen = await owner.sees()
    assert seen is not None
    other = next(way for way in seen.contact_methods if way.contact != seen.flow.contact)
    await owner.asks_another_way(other)
    seen = await owner.sees()
    assert seen is not None
    assert seen.challenge is not None
    assert seen.challenge.terms.subject == (await owner.holdings()).account.id
    await owner.types(home.wrong(seen.challenge))
    assert await home.count("standings") == 1
