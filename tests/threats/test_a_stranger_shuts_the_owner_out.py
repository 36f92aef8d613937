"""Threat: somebody who knows an address asks, guesses and fails until its owner can neither sign in nor recover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest_asyncio
from tests.clock import DAY, HOUR, MINUTE, FixedClock
from tests.flows.authenticators import app_code, enrols_app, recovery_codes
from tests.flows.people import ADA, CARRIER, Visitor, ada
from tests.flows.place import Place, place_at

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.session import Level, ProofRequirement
from countersign.domain.policy import InstallationPolicy
from countersign.flows.accounts.authenticator import InvalidCode
from countersign.flows.accounts.context import BrowserContext, CodeRequested, InvalidCredentials, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.sign_in.authenticator import prove_with_recovery_code
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.sign_in.recover import begin_delayed_recovery
from countersign.flows.verifications.results import Refused
from countersign.totp import STEP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

STRANGER = BrowserContext(ip="198.51.100.66", user_agent="curl", locale="en")
PHONE = "+14155550123"
BETTER = "a better battery staple"
EACH_REST = 61_000


@pytest_asyncio.fixture
async def shipped(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place with the budgets that are shipped: on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, rules=InstallationPolicy(), live=(CARRIER,)) as opened:
        yield opened


@pytest_asyncio.fixture
async def shipped_once(sqlite_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """The same on SQLite alone, for attacks that take hundreds of requests."""
    async with place_at(sqlite_url, tmp_path, clock=clock, rules=InstallationPolicy(), live=(CARRIER,)) as opened:
        yield opened


@pytest_asyncio.fixture
async def home_once(sqlite_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place without budgets, on SQLite alone."""
    async with place_at(sqlite_url, tmp_path, clock=clock, live=(CARRIER,)) as opened:
        yield opened


def stranger(place: Place, number: int = 66) -> Visitor:
    return Visitor(place, msgspec.structs.replace(STRANGER, ip=f"198.51.100.{number}"))


async def guesses_wrong(visitor: Visitor, times: int = 5) -> None:
    """Type wrong codes for the challenge that is under way, if there is one."""
    seen = await visitor.sees()
    if seen is not None and seen.challenge is not None:
        for _ in range(times):
            await visitor.types(visitor.place.wrong(seen.challenge))


async def begins_delayed(visitor: Visitor, lost: str, contact: str) -> object:
    outcome = await begin_delayed_recovery(visitor.place.accounts, visitor.browser, lost, contact)
    return visitor._kept(outcome)


async def recovers_by_code(place: Place) -> None:
    """The owner, at a browser and a network of their own, gets a code and uses it."""
    owner = Visitor(place)
    assert isinstance(await owner.recovers(), CodeRequested)
    seen = await owner.sees()
    assert seen is not None
    assert seen.challenge is not None, "no code was sent"
    assert isinstance(await owner.types(await owner.code()), PasswordResetAllowed)


async def test_a_hundred_wrong_codes_of_delayed_recoveries_shut_nothing(home: Place) -> None:
    """L2, C6: neither at once nor later: recovery of the same contact, sign-up with it, and signing in all go on."""
    await ada(home)
    for victim in (ADA, "grace@example.org"):
        for number in range(20):
            thief = stranger(home, number)
            await begins_delayed(thief, "anything@example.net", victim)
            await guesses_wrong(thief)
            home.clock.forward(31_000)
    await recovers_by_code(home)
    assert isinstance(await Visitor(home).is_let_in(), SignedIn)
    assert isinstance(await ada(home, "grace@example.org"), Visitor)
    home.clock.forward(30 * DAY)
    await recovers_by_code(home)


async def test_wrong_codes_of_recoveries_shut_no_recovery_elsewhere(home: Place) -> None:
    """L2, R1: a stranger's network rests; the owner's does not, nor does the stranger's for longer than a day."""
    await ada(home)
    for _ in range(40):
        thief = stranger(home)
        await thief.recovers()
        await guesses_wrong(thief)
        home.clock.forward(31 * 1_000)
    thief = stranger(home)
    assert isinstance(await thief.recovers(), CodeRequested)
    seen = await thief.sees()
    assert seen is not None
    assert seen.challenge is None
    await recovers_by_code(home)
    home.clock.forward(DAY)
    thief = stranger(home)
    await thief.recovers()
    seen = await thief.sees()
    assert seen is not None
    assert seen.challenge is not None


async def test_a_recovery_code_needs_no_message_that_can_be_sent(shipped: Place) -> None:
    """L2, R1: messages to the contact are used up, and the way by recovery code is open, for whoever says any name."""
    codes = await recovery_codes(await ada(shipped))
    shipped.clock.forward(HOUR)
    answers = []
    for name in (ADA, "nobody@example.org"):
        for number in range(12):
            assert isinstance(await stranger(shipped, number).recovers(name), CodeRequested)
        last = Visitor(shipped)
        assert isinstance(await last.recovers(name), CodeRequested)
        seen = await last.sees()
        assert seen is not None
        answers.append((seen.challenge, seen.authenticators, [way.channel for way in seen.contact_methods]))
        wrong = await prove_with_recovery_code(shipped.accounts, last.browser, "0000-0000-0000-0000", remember=False)
        assert isinstance(wrong, InvalidCode)
        if name == ADA:
            proved = await prove_with_recovery_code(shipped.accounts, last.browser, codes[0], remember=False)
            assert isinstance(proved, PasswordResetAllowed)
            assert isinstance(await last.chooses(BETTER), Applied)
    assert answers[0] == answers[1]
    assert answers[0][:2] == (None, (AuthenticatorKind.RECOVERY_CODE,))


async def test_a_further_method_of_a_recovery_sends_no_code_that_the_first_one_hid(home: Place) -> None:
    """A2, R1: a contact that may not recover the account yet gets a notice by every channel, never a right code."""
    owner = await ada(home)
    await owner.adds(PHONE)
    thief = stranger(home)
    assert isinstance(await thief.recovers(PHONE), CodeRequested)
    for _ in range(2):
        seen = await thief.sees()
        assert seen is not None
        assert seen.challenge is not None
        assert isinstance(await thief.types(home.code(seen.challenge)), Refused)
        home.clock.forward(EACH_REST)
        await thief.asks_another_way(seen.contact_methods[-1])


async def test_recovery_codes_that_strangers_guess_leave_the_owners_app_alone(home: Place) -> None:
    """L1: neither a sign-in with the right password nor a step-up waits."""
    owner = await ada(home)
    secret = await enrols_app(owner)
    for number in range(20):
        thief = stranger(home, number)
        await thief.recovers()
        for _ in range(5):
            await prove_with_recovery_code(home.accounts, thief.browser, "0000-0000-0000-0000", remember=False)
        home.clock.forward(31_000)
    fresh = Visitor(home)
    assert isinstance(await fresh.signs_in(), CodeRequested)
    assert isinstance(await app_code(fresh, secret), SignedIn)
    home.clock.forward(5 * STEP)
    assert isinstance(await owner.steps_up(ProofRequirement(Level.APP_CODE, 1)), CodeRequested)
    assert isinstance(await app_code(owner, secret), SignedIn)


async def test_guesses_at_one_contact_say_nothing_of_another(home: Place) -> None:
    """R1: after ten guesses at a mailbox, its account's phone answers like a stranger's."""
    owner = await ada(home)
    await owner.adds(PHONE)
    home.clock.forward(8 * DAY)
    thief = stranger(home)
    for _ in range(3):
        await thief.recovers()
        for _ in range(5):
            await prove_with_recovery_code(home.accounts, thief.browser, "0000-0000-0000-0000", remember=False)
        home.clock.forward(31_000)
    answers = []
    for number in (PHONE, "+14155550199"):
        await thief.recovers(number)
        answers.append(
            await prove_with_recovery_code(home.accounts, thief.browser, "0000-0000-0000-0000", remember=False)
        )
    assert answers[0] == answers[1]
    assert isinstance(answers[0], InvalidCode)


async def test_messages_that_strangers_ask_for_leave_the_owners_sign_in_its_own(shipped: Place) -> None:
    """L1, S7: an hour of recoveries, sign-ups and delayed recoveries uses up the day; the owner's password is answered by a code."""
    await ada(shipped)
    shipped.clock.forward(HOUR)
    for hour in range(6):
        for number in range(11):
            thief = stranger(shipped, hour * 12 + number)
            await thief.recovers()
            await stranger(shipped, number).signs_up()
            await begins_delayed(stranger(shipped, number), "anything@example.net", ADA)
        shipped.clock.forward(10 * MINUTE)
    fresh = Visitor(shipped)
    assert isinstance(await fresh.is_let_in(), SignedIn)
    shipped.clock.forward(EACH_REST)
    assert isinstance(await fresh.steps_up(ProofRequirement(Level.MAIL_CODE, 0)), CodeRequested)
    assert isinstance(await fresh.types(await fresh.code()), SignedIn)


async def test_what_is_sent_to_one_contact_in_a_day_has_an_end_in_every_lane(shipped_once: Place) -> None:
    """L1, D7: the lanes are several, and each has its own bound: strangers get theirs, and a thief with the password his."""
    await ada(shipped_once)
    for _ in range(24 * 6):
        await stranger(shipped_once).recovers()
        await stranger(shipped_once).signs_in()
        shipped_once.clock.forward(10 * MINUTE)
    while await shipped_once.deliver():
        pass
    to_ada = [message for message in shipped_once.carriers[CARRIER].sent if message.to == ADA]
    assert len(to_ada) <= 1 + 2 * (30 + 30)


async def test_a_flood_of_one_network_leaves_the_owner_on_it_what_follows_a_password(shipped_once: Place) -> None:
    """L1: strangers behind the same address use up what anybody may ask for there, and nothing else."""
    await ada(shipped_once)
    for _ in range(3):
        for number in range(25):
            await Visitor(shipped_once).recovers(f"u{number}@example.org")
            await Visitor(shipped_once).signs_up(f"v{number}@example.org")
    assert isinstance(await Visitor(shipped_once).recovers(), Refused)
    assert isinstance(await Visitor(shipped_once).is_let_in(), SignedIn)


async def test_a_password_that_strangers_guess_leaves_the_remembered_browser_alone(home: Place) -> None:
    """S7, L1, L2: a new browser pauses after a hundred in a row, for a day at most; a trusted one never notices."""
    await ada(home)
    owner = Visitor(home)
    await owner.is_let_in(remember=True)
    for number in range(130):
        outcome = await stranger(home, number % 200).signs_in(password="a wrong password")
        assert isinstance(outcome, InvalidCredentials)
        home.clock.forward(91_000)
    assert isinstance(await Visitor(home).signs_in(), InvalidCredentials)
    assert isinstance(await owner.signs_in(), SignedIn)
    assert isinstance(await Visitor(home).signs_in(), CodeRequested), "the owner's own browser ended the pause"


async def test_a_pause_of_passwords_ends_by_itself_and_by_a_recovery(home_once: Place) -> None:
    """L2, L3: the owner without a trusted browser recovers at once, or waits for a day at most."""
    await ada(home_once)
    for name in (ADA, "nobody@example.org"):
        for number in range(130):
            assert isinstance(await stranger(home_once, number).signs_in(name, "a wrong password"), InvalidCredentials)
            home_once.clock.forward(91_000)
    home_once.clock.forward(30 * DAY)
    assert isinstance(await Visitor(home_once).signs_in(), CodeRequested)
    for number in range(130):
        await stranger(home_once, number).signs_in(password="a wrong password")
        home_once.clock.forward(91_000)
    assert isinstance(await Visitor(home_once).signs_in(), InvalidCredentials)
    owner = Visitor(home_once)
    await owner.recovers()
    assert isinstance(await owner.types(await owner.code()), PasswordResetAllowed)
    assert isinstance(await owner.chooses(BETTER), Applied)
    assert isinstance(await owner.signs_in(password=BETTER), CodeRequested)


async def test_a_thief_with_the_password_locks_neither_sessions_nor_trusted_browsers_nor_recovery(
    home: Place,
) -> None:
    """L1, C6: his hundred wrong codes stop at his own lane; recovering by that very contact opens it again."""
    owner, trusted = await ada(home), Visitor(home)
    await trusted.is_let_in(remember=True)
    for number in range(30):
        thief = stranger(home, number)
        if isinstance(await thief.signs_in(), CodeRequested):
            await guesses_wrong(thief)
        home.clock.forward(6 * HOUR)
    assert isinstance(await stranger(home).signs_in(), Refused)
    assert isinstance(await trusted.signs_in(), SignedIn)
    fresh_owner = trusted if await owner.session() is None else owner
    assert isinstance(await fresh_owner.steps_up(ProofRequirement(Level.MAIL_CODE, 0)), CodeRequested)
    assert isinstance(await fresh_owner.types(await fresh_owner.code()), SignedIn)
    recovering = Visitor(home)
    await recovering.recovers()
    assert isinstance(await recovering.types(await recovering.code()), PasswordResetAllowed)
    assert isinstance(await recovering.chooses(BETTER), Applied)
    home.clock.forward(EACH_REST)
    assert isinstance(await recovering.signs_in(password=BETTER), CodeRequested)
    assert isinstance(await recovering.types(await recovering.code()), SignedIn)


async def test_a_recovery_code_signs_in_where_no_message_can_be_sent_after_a_password(home: Place) -> None:
    """C6, L2: a thief with the password pauses the lane of codes, and not the codes that were written down."""
    codes = await recovery_codes(await ada(home))
    for number in range(5):
        thief = stranger(home, number)
        await thief.signs_in()
        await guesses_wrong(thief)
        home.clock.forward(31_000)
    owner = Visitor(home)
    assert isinstance(await owner.signs_in(), CodeRequested)
    seen = await owner.sees()
    assert seen is not None
    assert (seen.challenge, seen.authenticators) == (None, (AuthenticatorKind.RECOVERY_CODE,))
    proved = await prove_with_recovery_code(home.accounts, owner.browser, codes[0], remember=False)
    assert isinstance(proved, SignedIn)
