"""Sign-in: the password first, then a code unless the account trusts this browser; what fails is told alike."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import msgspec
from tests.flows.people import ADA, Visitor, ada
from tests.flows.place import query

from countersign.domain.accounts.device import TRUST_LIFETIME
from countersign.domain.accounts.session import (
    REMEMBERED_SESSION_LIFETIME,
    SESSION_LIFETIME,
    Level,
    ProofRequirement,
    amr_values,
    current_level,
    satisfies,
)
from countersign.flows.accounts.context import BrowserContext, CodeRequested, FlowNotFound, InvalidCredentials, SignedIn
from countersign.flows.accounts.sessions import end_device, end_others, sign_out
from countersign.flows.changes.report_change import find_notice, report_change
from countersign.flows.maintenance.sweep import sweep
from countersign.flows.verifications.results import Refused
from countersign.store.tables import devices

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.session import Session

PHONE = BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en")
DAY = 86_400_000


async def alive(visitor: Visitor) -> Session:
    session = await visitor.session()
    assert session is not None
    return session


async def test_a_password_alone_does_not_get_in(home: Place) -> None:
    """S2, M3: no session before the code, and a wrong password causes no code."""
    await ada(home)
    sent = await home.count("challenges")
    stranger = Visitor(home, PHONE)
    assert isinstance(await stranger.signs_in(password="wrong password"), InvalidCredentials)
    assert await home.count("challenges") == sent
    assert isinstance(await stranger.signs_in(), CodeRequested)
    assert await stranger.session() is None
    assert await home.count("sessions") == 1
    assert isinstance(await stranger.types(await stranger.code()), SignedIn)
    assert current_level(await alive(stranger), home.clock()) is Level.MAIL_CODE


async def test_unknown_wrong_locked_and_disabled_are_told_alike(home: Place) -> None:
    """S1."""
    await ada(home)
    stranger = Visitor(home, PHONE)
    unknown = await stranger.signs_in("grace@example.org")
    nonsense = await stranger.signs_in("no address at all")
    wrong = await stranger.signs_in(password="wrong password")
    for _ in range(10):
        await stranger.signs_in(password="wrong password")
    locked = await stranger.signs_in()
    await home.change("UPDATE accounts SET disabled_at = 1")
    home.clock.forward(DAY)
    disabled = await stranger.signs_in()
    assert unknown == nonsense == wrong == locked == disabled == InvalidCredentials()


async def test_a_flood_against_a_name_leaves_its_owners_remembered_browser_alone(home: Place) -> None:
    """S7."""
    await ada(home)
    owner = Visitor(home, PHONE)
    await owner.is_let_in(remember=True)
    for number in range(40):
        flood = BrowserContext(ip=f"192.0.2.{number}", user_agent="x", locale="en")
        assert isinstance(await Visitor(home, flood).signs_in(password="wrong password"), InvalidCredentials)
    assert isinstance(await Visitor(home, BrowserContext(ip="192.0.2.99")).signs_in(), InvalidCredentials)
    assert isinstance(await owner.signs_in(), SignedIn)


async def test_a_trusted_browser_skips_the_code_and_only_that(home: Place) -> None:
    """S4, S5: its session does not claim `mfa` and does not pass a step-up."""
    await ada(home)
    owner = Visitor(home, PHONE)
    await owner.is_let_in(remember=True)
    assert isinstance(await owner.signs_in(), SignedIn)
    session, now = await alive(owner), home.clock()
    assert current_level(session, now) is Level.TRUSTED_DEVICE
    assert "mfa" not in amr_values(session, now)
    assert not satisfies(session, ProofRequirement(Level.MAIL_CODE), now)
    assert isinstance(await owner.signs_in(password="wrong password"), InvalidCredentials)


async def test_trust_ends_after_thirty_days_however_often_it_is_used(home: Place) -> None:
    """S4."""
    await ada(home)
    owner = Visitor(home, PHONE)
    await owner.is_let_in(remember=True)
    for _ in range(29):
        home.clock.forward(DAY)
        assert isinstance(await owner.signs_in(), SignedIn)
    home.clock.forward(TRUST_LIFETIME - 29 * DAY)
    assert isinstance(await owner.signs_in(), CodeRequested)


async def test_trust_is_not_given_unless_asked_for(home: Place) -> None:
    """S4."""
    await ada(home)
    owner = Visitor(home, PHONE)
    await owner.is_let_in()
    home.clock.forward(DAY)
    assert isinstance(await owner.signs_in(), CodeRequested)


async def test_a_copied_user_agent_is_a_new_device(home: Place) -> None:
    """S3."""
    await ada(home)
    owner = Visitor(home, PHONE)
    await owner.is_let_in(remember=True)
    thief = Visitor(home, msgspec.structs.replace(PHONE))
    assert isinstance(await thief.signs_in(), CodeRequested)


async def test_trust_is_each_accounts_own(home: Place) -> None:
    """S4."""
    await ada(home)
    await ada(home, "grace@example.org")
    shared = Visitor(home, PHONE)
    await shared.is_let_in(remember=True)
    assert isinstance(await shared.signs_in("grace@example.org"), CodeRequested)


async def test_every_sign_in_has_a_new_secret_and_ends_the_one_before(home: Place) -> None:
    """S8."""
    visitor = await ada(home)
    first = visitor.browser.session
    home.clock.forward(60_000)
    await visitor.is_let_in()
    assert visitor.browser.session != first
    assert await Visitor(home, msgspec.structs.replace(visitor.browser, session=first)).session() is None


async def test_a_session_ends_after_twelve_hours_and_signing_out_ends_it_on_the_server(home: Place) -> None:
    """S8."""
    visitor = await ada(home)
    home.clock.forward(SESSION_LIFETIME - 1)
    assert await visitor.session() is not None
    home.clock.forward(1)
    assert await visitor.session() is None
    await visitor.is_let_in()
    assert await sign_out(home.accounts, visitor.browser)
    assert await visitor.session() is None
    assert not await sign_out(home.accounts, visitor.browser)


async def test_a_remembered_session_lasts_thirty_days_at_the_lowest_level(home: Place) -> None:
    """S8, U3."""
    await ada(home)
    owner = Visitor(home, PHONE)
    await owner.is_let_in(remember=True)
    home.clock.forward(SESSION_LIFETIME + 1)
    session = await alive(owner)
    assert current_level(session, home.clock()) is Level.PASSWORD
    home.clock.forward(REMEMBERED_SESSION_LIFETIME - SESSION_LIFETIME - 1)
    assert await owner.session() is None


async def test_a_new_device_is_told_to_the_contact_and_a_known_one_is_not(home: Place) -> None:
    """S6."""
    await ada(home)
    stranger = Visitor(home, PHONE)
    await stranger.is_let_in()
    letter = await stranger.reads()
    assert letter.subject == "A new browser signed in to your account at Verify"
    assert "198.51.100.7" in letter.text
    assert "/not-me?ref=ntc_" in letter.text
    told = await home.count("notices")
    home.clock.forward(DAY)
    await stranger.is_let_in()
    assert await home.count("notices") == told


async def test_saying_that_it_was_not_me_ends_every_session_and_all_trust(home: Place) -> None:
    """S6, R3: at a press, by a link that only a message of ours can hold, and while it is fresh."""
    visitor = await ada(home)
    thief = Visitor(home, PHONE)
    await thief.is_let_in(remember=True)
    link = re.search(r"ref=(ntc_\S+)", (await thief.reads()).text)
    assert link is not None
    assert await find_notice(home.accounts, link[1]) is not None
    assert await thief.session() is not None
    for forged in (link[1][:-3] + "abc", link[1].partition(".")[0] + ".", "ntc_x.y", link[1].replace("ntc_", "ver_")):
        assert not await report_change(home.accounts, BrowserContext(), forged)
    assert await thief.session() is not None
    assert await report_change(home.accounts, BrowserContext(), link[1])
    assert await thief.session() is None
    assert await visitor.session() is None
    assert isinstance(await thief.signs_in(), InvalidCredentials)
    home.clock.forward(7 * DAY)
    assert not await report_change(home.accounts, BrowserContext(), link[1])


async def test_a_code_works_in_the_browser_that_asked_and_in_no_other(home: Place) -> None:
    """C4: neither with a visit of its own for the same account nor with the cookie of the flow alone."""
    await ada(home)
    owner, thief = Visitor(home, PHONE), Visitor(home, BrowserContext(ip="192.0.2.1"))
    await owner.signs_in()
    code = await owner.code()
    await thief.signs_in()
    outcome = await thief.types(code)
    assert isinstance(outcome, Refused)
    assert outcome.refusal.value == "wrong_code"
    stolen = Visitor(home, msgspec.structs.replace(thief.browser, flow=owner.browser.flow))
    assert isinstance(await stolen.types(code), FlowNotFound)
    assert isinstance(await owner.types(code), SignedIn)


async def test_a_hundred_right_answers_make_one_session(home: Place) -> None:
    """C3."""
    await ada(home)
    stranger = Visitor(home, PHONE)
    await stranger.signs_in()
    code = await stranger.code()
    outcomes = await asyncio.gather(*(Visitor(home, stranger.browser).types(code) for _ in range(100)))
    assert sum(isinstance(outcome, SignedIn) for outcome in outcomes) == 1
    assert await home.count("sessions") == 2


async def test_a_program_that_died_after_the_right_code_lets_the_same_browser_go_on(home: Place) -> None:
    await ada(home)
    stranger = Visitor(home, PHONE)
    await stranger.signs_in()
    seen, code = await stranger.sees(), await stranger.code()
    assert seen is not None
    assert seen.challenge is not None
    await home.answer(seen.challenge, code, home.accounts.own)  # durable, and then nothing more
    assert await stranger.session() is None
    other = Visitor(home, msgspec.structs.replace(stranger.browser, device=home.accounts.secret()))
    assert isinstance(await other.types(code), FlowNotFound)
    assert isinstance(await stranger.types(code), SignedIn)
    assert isinstance(await Visitor(home, stranger.browser).types(code), FlowNotFound)


async def test_forgetting_a_browser_ends_its_trust_and_its_sessions_at_once(home: Place) -> None:
    """A4."""
    visitor = await ada(home)
    owner = Visitor(home, PHONE)
    await owner.is_let_in(remember=True)
    known = await home.database.read(devices.list_active, (await alive(visitor)).account)
    phone = next(device for device in known if device.trusted(home.clock()))
    assert await end_device(home.accounts, await alive(visitor), phone.id)
    assert await owner.session() is None
    assert isinstance(await owner.signs_in(), CodeRequested)
    assert not await end_device(home.accounts, await alive(visitor), phone.id)


async def test_other_sessions_end_and_this_one_stays(home: Place) -> None:
    visitor = await ada(home)
    other = Visitor(home, PHONE)
    await other.is_let_in()
    assert await end_others(home.accounts, await alive(visitor)) == 1
    assert await other.session() is None
    assert await visitor.session() is not None


async def test_nobody_ends_another_accounts_sessions(home: Place) -> None:
    visitor = await ada(home)
    grace = await ada(home, "grace@example.org")
    session = await alive(grace)
    assert not await end_device(home.accounts, session, "dev_unknown")
    known = await home.database.read(devices.list_active, (await alive(visitor)).account)
    assert not await end_device(home.accounts, session, known[0].id)
    assert await visitor.session() is not None


async def test_no_name_contact_or_password_stands_readable_in_the_database(home: Place) -> None:
    """C8: what is kept of a person is sealed, and passwords are hashed besides."""
    visitor = await ada(home)
    session = await alive(visitor)
    rows = await home.database.read(everything)
    told = repr(rows).encode()
    for secret in (b"Ada", ADA.encode(), b"argon2", visitor.browser.session.encode(), visitor.browser.device.encode()):
        assert secret not in told
    assert session.account.encode() in told


def everything():  # type: ignore[no-untyped-def] # noqa: ANN201 - a generator of all that is kept of accounts
    from countersign.store.engine.database import Sql

    found = []
    for table in ("accounts", "contacts", "identifiers", "devices", "sessions", "visits", "notices", "deliveries"):
        found += yield Sql(f"SELECT * FROM {table}")  # noqa: S608 - names are ours
    return found


async def test_what_is_kept_of_browsers_goes_in_its_time(home: Place) -> None:
    """O3: addresses after the configured days, a browser once it has lost its cookie, ended ones with the addresses."""
    visitor = await ada(home)
    other = Visitor(home, PHONE)
    await other.is_let_in()
    known = await home.database.read(devices.list_active, (await alive(visitor)).account)
    assert await end_device(home.accounts, await alive(visitor), known[0].id)
    await sweep(home.core, 30)
    assert await home.count("devices") == 2
    assert await home.count("sessions") == 1
    home.clock.forward(31 * DAY)
    await sweep(home.core, 30)
    assert await home.count("devices") == 1
    assert await home.count("sessions") == await home.count("visits") == await home.count("notices") == 0
    rows = await home.database.read(query, "SELECT ip FROM devices")
    assert list(rows) == [("",)]
    home.clock.forward(400 * DAY)
    await sweep(home.core, 30)
    assert await home.count("devices") == 0
    assert await home.count("accounts") == 1


async def test_right_passwords_use_up_no_budget(home: Place) -> None:
    """S7, S1."""
    await ada(home)
    owner = Visitor(home, PHONE)
    await owner.is_let_in(remember=True)
    for _ in range(30):
        assert isinstance(await owner.signs_in(), SignedIn)


async def test_one_network_cannot_have_accounts_opened_without_end(home: Place) -> None:
    """S1, H1: each costs a hash before anything is proved."""
    outcomes = [await Visitor(home).signs_up(f"ada{number}@example.org") for number in range(22)]
    assert [isinstance(outcome, CodeRequested) for outcome in outcomes] == [True] * 20 + [False] * 2
    assert isinstance(outcomes[-1], Refused)
    assert outcomes[-1].retry_after > 0
