"""Starting a session: its secret, its lifetime, trust in the browser, and the notice of a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.flows.authenticators import app_code, enrols_app
from tests.flows.people import ADA, Visitor, ada, alive

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import (
    REMEMBERED_SESSION_LIFETIME,
    SESSION_LIFETIME,
    Level,
    Method,
    SessionProof,
    SignInPolicy,
    current_level,
    is_enrolment_only,
)
from countersign.domain.shared.event import EventKind
from countersign.flows.accounts.context import BrowserContext, CodeRequested, FlowNotFound, SignedIn
from countersign.flows.accounts.login_flow import find_flow
from countersign.flows.accounts.sessions import sign_out
from countersign.flows.sign_in.start_session import start_session
from countersign.store.tables import devices, events
from countersign.totp import STEP

if TYPE_CHECKING:
    from tests.flows.place import Place


SAFARI = BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en")
DAY = 86_400_000
STRICT = SignInPolicy(8 * 3_600_000, trusts_browsers=False, sent_codes=False)


async def test_trust_is_not_given_unless_asked_for(home: Place) -> None:
    """S4."""
    await ada(home)
    owner = Visitor(home, SAFARI)
    await owner.is_let_in()
    home.clock.forward(DAY)
    assert isinstance(await owner.signs_in(), CodeRequested)


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
    owner = Visitor(home, SAFARI)
    await owner.is_let_in(remember=True)
    home.clock.forward(SESSION_LIFETIME + 1)
    session = await alive(owner)
    assert current_level(session, home.clock()) is Level.PASSWORD
    home.clock.forward(REMEMBERED_SESSION_LIFETIME - SESSION_LIFETIME - 1)
    assert await owner.session() is None


async def test_the_contact_is_notified_of_a_new_browser_and_not_of_a_known_one(home: Place) -> None:
    """S6."""
    await ada(home)
    stranger = Visitor(home, SAFARI)
    await stranger.is_let_in()
    letter = await stranger.reads()
    assert letter.subject == "A new browser signed in to your account at Verify"
    assert "198.51.100.7" in letter.text
    assert "/not-me?ref=ntc_" in letter.text
    told = await home.count("notices")
    home.clock.forward(DAY)
    await stranger.is_let_in()
    assert await home.count("notices") == told


@pytest.fixture
def strict(home: Place) -> Place:
    home.accounts = msgspec.structs.replace(home.accounts, sign_in_policy=STRICT)
    return home


async def test_where_sent_codes_are_not_enough_they_let_in_to_enrol_only(strict: Place) -> None:
    """S10."""
    visitor = await ada(strict)
    session = await visitor.session()
    assert session is not None
    assert is_enrolment_only(session, STRICT, strict.clock())
    assert not is_enrolment_only(session, SignInPolicy(), strict.clock())
    secret = await enrols_app(visitor)
    strict.clock.forward(5 * STEP)
    other = Visitor(strict)
    assert isinstance(await other.signs_in(), CodeRequested)
    seen = await other.sees()
    assert seen is not None
    assert seen.contact_methods == ()
    assert isinstance(await app_code(other, secret), SignedIn)
    session = await other.session()
    assert session is not None
    assert not is_enrolment_only(session, STRICT, strict.clock())
    assert session.expires_at == strict.clock() + STRICT.session_lifetime


async def test_no_browser_is_trusted_not_even_one_that_was(strict: Place, home: Place) -> None:
    """S4, S8."""
    strict.accounts = msgspec.structs.replace(strict.accounts, sign_in_policy=SignInPolicy())
    await ada(strict)
    visitor = Visitor(strict)
    await visitor.is_let_in(remember=True)
    assert isinstance(await visitor.signs_in(), SignedIn)
    home.accounts = msgspec.structs.replace(home.accounts, sign_in_policy=STRICT)
    assert isinstance(await visitor.signs_in(), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(ADA), remember=True), SignedIn)
    session = await visitor.session()
    assert session is not None
    assert session.expires_at == home.clock() + STRICT.session_lifetime
    assert isinstance(await visitor.signs_in(), CodeRequested)


async def started(place: Place, visitor: Visitor, *methods: Method, **asked: Any) -> SignedIn | FlowNotFound:
    """Start a session of the account that this visitor is signed in to, with these proofs."""
    session = await alive(visitor)
    proofs = tuple(SessionProof(method, place.clock()) for method in methods)
    return await start_session(
        place.accounts,
        visitor.browser,
        session.account,
        proofs,
        interrupted=InterruptedRequest(path="/x"),
        epoch=session.epoch,
        **asked,
    )


@pytest.mark.parametrize(
    ("methods", "trusted"),
    [
        ((Method.PASSWORD,), False),
        ((Method.PASSWORD, Method.MAIL_CODE), True),
        ((Method.PASSKEY,), True),
    ],
)
async def test_only_a_second_factor_makes_a_browser_trusted(
    home: Place, methods: tuple[Method, ...], *, trusted: bool
) -> None:
    """S4: whatever the form asks for."""
    visitor = await ada(home)
    account = (await alive(visitor)).account
    assert isinstance(await started(home, visitor, *methods, remember=True), SignedIn)
    (device,) = await home.database.read(devices.list_active, account)
    assert device.trusted(home.clock()) is trusted


async def test_a_session_starts_once_for_a_flow_and_continues_the_interrupted_request(home: Place) -> None:
    """C3."""
    visitor = await ada(home)
    other = Visitor(home, SAFARI)
    await other.signs_in()
    stored = await find_flow(home.accounts, other.browser)
    assert stored is not None
    first = await started(home, visitor, Method.PASSWORD, Method.MAIL_CODE, flow=stored)
    assert isinstance(first, SignedIn)
    assert first.interrupted.path == "/x"
    visitor.browser = msgspec.structs.replace(visitor.browser, session=first.session)
    assert isinstance(await started(home, visitor, Method.PASSWORD, Method.MAIL_CODE, flow=stored), FlowNotFound)
    assert await visitor.session() is not None


async def test_the_log_names_the_level_of_a_new_session_and_its_browser(home: Place) -> None:
    await ada(home)
    await Visitor(home, SAFARI).is_let_in(remember=True)
    logged = await home.database.read(events.list_between, 0, 1 << 62)
    (completed,) = (event for event in logged if event.kind is EventKind.SIGN_IN_COMPLETED)
    assert completed.facts["level"] == "mail_code"
    kinds = [event.kind for event in logged if event.owner == completed.owner and event.at == completed.at]
    assert kinds.count(EventKind.DEVICE_TRUSTED) == 1
    assert kinds.count(EventKind.DEVICE_ADDED) == kinds.count(EventKind.ACCOUNT_CREATED) + 1
