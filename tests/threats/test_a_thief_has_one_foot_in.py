"""A thief has got hold of one thing: what can be done with it, and that the owner gets back in and the thief is out for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.authenticators import app_code, enrols_app
from tests.flows.integration_codes import made
from tests.flows.people import ADA, PASSWORD, Visitor, ada

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.accounts.session import ProofRequirement
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import BrowserContext, CodeRequested, InvalidCredentials, InvalidInput, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.enrol import make_recovery_codes
from countersign.flows.changes.integration_codes import verify_code
from countersign.flows.changes.report_change import report_change
from countersign.flows.changes.submit import submit_change
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.store.tables import changes
from countersign.totp import STEP

if TYPE_CHECKING:
    from tests.flows.place import Place

THIEFS = BrowserContext(ip="192.0.2.66", user_agent="Safari", locale="en")
PHONE = "+14155550123"
EVIL = "thief@evil.example"
BETTER = "a better battery staple"


async def owner_takes_it_back(home: Place, title: str) -> Visitor:
    """Press "this was not me" in the message with this title, choose a new password, and sign in."""
    owner = Visitor(home)
    reference = await owner.told(title)
    assert await report_change(home.accounts, owner.browser, reference) is not None
    home.clock.forward(61_000)
    assert isinstance(await owner.recovers(ADA), CodeRequested)
    assert isinstance(await owner.types(await owner.code(ADA)), PasswordResetAllowed)
    assert isinstance(await owner.chooses(BETTER), Applied)
    return owner


async def test_a_live_session_changes_nothing_without_a_proof(home: Place) -> None:
    """A1, A4, A5, I3: an unattended browser or a stolen cookie reads, and that is all."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    mail = await visitor.contact(ADA)
    home.clock.forward(61_000)
    thief = Visitor(home, visitor.browser)
    session = await thief.session()
    assert session is not None
    wanted = [
        ChangeRequest(ChangeKind.CONTACT_ADDED, about="t***", summary="x", contact=parse_contact(EVIL)),
        ChangeRequest(ChangeKind.CONTACT_REPLACED, mail.id, "t***", "x", parse_contact(EVIL)),
        ChangeRequest(ChangeKind.CONTACT_REMOVED, mail.id, "a***", "x"),
        ChangeRequest(ChangeKind.CONTACT_PRIMARY, (await visitor.contact(PHONE)).id, "+1", "x"),
        ChangeRequest(ChangeKind.PASSWORD_CHANGED, summary="x", password="x"),
        ChangeRequest(ChangeKind.RECOVERY_CODES_MADE, summary="x"),
        ChangeRequest(ChangeKind.INTEGRATION_CODE_MADE, about="x", summary="x"),
    ]
    for one in wanted:
        assert isinstance(await submit_change(home.accounts, thief.browser, session, one), ProofRequirement), one
    outcome, _ = await make_recovery_codes(home.accounts, thief.browser, session, "x")
    assert isinstance(outcome, ProofRequirement)
    waiting = await home.database.read(changes.list_open, session.account, home.clock())
    assert [one.kind for one in waiting] == [ChangeKind.CONTACT_ADDED]


async def test_the_session_and_the_mailbox_of_an_account_without_more_are_taken_back(home: Place) -> None:
    """A2, S6: the thief makes it theirs as far as it goes; the old address undoes all of it, and the thief is out."""
    visitor = await ada(home)
    mail = await visitor.contact(ADA)
    code = await made(visitor)
    home.clock.forward(61_000)
    thief = Visitor(home, visitor.browser)
    assert isinstance(await thief.adds(EVIL, replaces=mail.id), Applied)
    home.clock.forward(61_000)
    assert isinstance(await thief.adds(PHONE, EVIL), Applied)
    home.clock.forward(61_000)
    secret = await enrols_app(thief, EVIL)
    home.clock.forward(61_000)
    owner = await owner_takes_it_back(home, "Contact details were replaced on your account")
    assert await thief.session() is None
    assert await verify_code(home.accounts, code, "") is None
    assert isinstance(await owner.signs_in(password=BETTER), CodeRequested)
    seen = await owner.sees()
    assert seen is not None
    assert seen.authenticators == ()
    home.clock.forward(61_000)
    assert isinstance(await owner.types(await owner.code(ADA)), SignedIn)
    assert [contact.masked for contact in (await owner.holdings()).contacts] == ["a***@example.org"]
    for name in (EVIL, PHONE):
        assert isinstance(await thief.signs_in(name, BETTER), InvalidCredentials)
        assert isinstance(await thief.recovers(name), CodeRequested)
        assert "No account found" in (await thief.reads(name)).text
    assert secret


async def test_the_mailbox_alone_gets_no_further_than_a_new_password(home: Place) -> None:
    """R2, U4: where the account has a phone or an app, the reset is told there, and does not let in."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    thief = Visitor(home, THIEFS)
    assert isinstance(await thief.recovers(), CodeRequested)
    home.clock.forward(61_000)
    assert isinstance(await thief.types(await thief.code(ADA)), PasswordResetAllowed)
    assert isinstance(await thief.chooses("the thief's own words"), Applied)
    assert isinstance(await thief.signs_in(password="the thief's own words"), CodeRequested)
    seen = await thief.sees()
    assert seen is not None
    assert {way.masked for way in seen.contact_methods} == {"+1415***0123"}
    reference = await Visitor(home).told("Your password was reset", PHONE)
    assert await report_change(home.accounts, BrowserContext(), reference) is not None
    assert isinstance(await thief.signs_in(password="the thief's own words"), InvalidCredentials)


async def test_the_mailbox_alone_does_not_get_past_an_app(home: Place) -> None:
    """R2."""
    visitor = await ada(home)
    secret = await enrols_app(visitor)
    home.clock.forward(5 * STEP)
    thief = Visitor(home, THIEFS)
    assert isinstance(await thief.recovers(), CodeRequested)
    assert isinstance(await thief.types(await thief.code(ADA)), PasswordResetAllowed)
    assert isinstance(await thief.chooses("the thief's own words"), Applied)
    assert isinstance(await thief.signs_in(password="the thief's own words"), CodeRequested)
    seen = await thief.sees()
    assert seen is not None
    assert (seen.contact_methods, seen.authenticators) == ((), (AuthenticatorKind.APP,))
    # The owner, who has both, is not kept out by it.
    home.clock.forward(61_000)
    owner = Visitor(home)
    assert isinstance(await owner.recovers(), CodeRequested)
    assert isinstance(await owner.types(await owner.code(ADA)), PasswordResetAllowed)
    assert isinstance(await owner.chooses(BETTER), Applied)
    assert isinstance(await owner.signs_in(password=BETTER), CodeRequested)
    assert isinstance(await app_code(owner, secret), SignedIn)


async def test_the_phone_alone_is_stopped_from_the_mailbox(home: Place) -> None:
    """R2: a stolen SIM card gets a new password, and then needs the mailbox."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    home.clock.forward(8 * 86_400_000)
    thief = Visitor(home, THIEFS)
    assert isinstance(await thief.recovers(PHONE), CodeRequested)
    assert isinstance(await thief.types(await thief.code(PHONE)), PasswordResetAllowed)
    assert isinstance(await thief.chooses("the thief's own words"), Applied)
    assert isinstance(await thief.signs_in(PHONE, "the thief's own words"), CodeRequested)
    seen = await thief.sees()
    assert seen is not None
    assert {way.masked for way in seen.contact_methods} == {"a***@example.org"}
    owner = Visitor(home)
    reference = await owner.told("Your password was reset")
    assert await report_change(home.accounts, owner.browser, reference) is not None
    assert isinstance(await thief.signs_in(PHONE, "the thief's own words"), InvalidCredentials)
    # The owner, who has lost the phone, knows the password of before; the thief's own is worth nothing.
    for visitor, current in ((thief, "the thief's own words"), (owner, PASSWORD)):
        home.clock.forward(61_000)
        name = PHONE if visitor is thief else ADA
        assert isinstance(await visitor.recovers(name), CodeRequested)
        assert isinstance(await visitor.types(await visitor.code(name)), PasswordResetAllowed)
        outcome = await visitor.chooses(BETTER, current)
        assert isinstance(outcome, InvalidInput if visitor is thief else Applied)
    home.clock.forward(61_000)
    assert isinstance(await owner.signs_in(password=BETTER), CodeRequested)
    assert isinstance(await owner.types(await owner.code(ADA)), SignedIn)
    phone = await owner.contact(PHONE)
    assert isinstance(
        await owner.changes(ChangeRequest(ChangeKind.CONTACT_REMOVED, phone.id, "+1415***0123", "x")), Applied
    )
    assert isinstance(await thief.signs_in(PHONE, BETTER), InvalidCredentials)
