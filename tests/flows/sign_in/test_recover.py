"""Recovery: a forgotten password, and an account without any working contact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import Visitor, ada

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.flows.accounts.authenticator import InvalidCode
from countersign.flows.accounts.context import (
    CodeRequested,
    FlowNotFound,
    InvalidCredentials,
    InvalidInput,
    SignedIn,
)
from countersign.flows.changes.apply import Applied
from countersign.flows.sign_in.authenticator import prove_with_recovery_code
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.verifications.results import Refused

if TYPE_CHECKING:
    from tests.flows.place import Place

BETTER = "a better battery staple"
PHONE = "+14155550123"


async def test_a_forgotten_password_is_replaced_and_nobody_is_signed_in(home: Place) -> None:
    """R2, A5: every session ends, every contact is told, and the next sign-in needs a code as always."""
    visitor = await ada(home)
    other = Visitor(home)
    assert isinstance(await other.recovers(), CodeRequested)
    assert isinstance(await other.types(await other.code()), PasswordResetAllowed)
    faulty = await other.chooses("password")
    assert isinstance(faulty, InvalidInput)
    assert isinstance(await other.chooses(BETTER), Applied)
    assert other.browser.session == ""
    assert await visitor.session() is None
    await visitor.told("Your password was reset")
    assert isinstance(await other.chooses("yet another battery"), FlowNotFound)
    assert isinstance(await Visitor(home).signs_in(), InvalidCredentials)
    assert isinstance(await Visitor(home).signs_in(password=BETTER), CodeRequested)


async def test_beginning_a_recovery_changes_nothing_and_gives_the_same_answer(home: Place) -> None:
    """R1: an unknown address is told so in its own mailbox; the browser sees the same screen, and no answer is right."""
    visitor = await ada(home)
    stranger = Visitor(home)
    assert isinstance(await stranger.recovers("nobody@example.org"), CodeRequested)
    assert "No account found" in (await stranger.reads("nobody@example.org")).text
    seen = await stranger.sees()
    assert seen is not None
    assert seen.authenticators == (AuthenticatorKind.RECOVERY_CODE,)
    assert seen.challenge is not None
    refused = await stranger.types(home.code(seen.challenge))
    assert isinstance(refused, Refused)
    assert isinstance(
        await prove_with_recovery_code(home.accounts, stranger.browser, "0000-0000-0000-0000", remember=False),
        InvalidCode,
    )
    assert isinstance(await stranger.chooses(BETTER), FlowNotFound)
    # The owner's password, session and trust are untouched by being asked about.
    assert isinstance(await Visitor(home).recovers(), CodeRequested)
    assert await visitor.session() is not None
    assert isinstance(await Visitor(home).signs_in(), CodeRequested)


async def test_the_contact_that_recovered_does_not_let_in_alone(home: Place) -> None:
    """R2, U4: who holds the mailbox alone gets a new password and then needs the phone."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    thief = Visitor(home)
    assert isinstance(await thief.recovers(), CodeRequested)
    await thief.types(await thief.code())
    assert isinstance(await thief.chooses(BETTER), Applied)
    assert isinstance(await thief.signs_in(password=BETTER), CodeRequested)
    seen = await thief.sees()
    assert seen is not None
    assert {way.masked for way in seen.contact_methods} == {"+1415***0123"}
    owner = Visitor(home)
    assert isinstance(await owner.signs_in(password=BETTER), CodeRequested)
    home.clock.forward(61_000)
    entered = await owner.types(await owner.code(PHONE))
    assert isinstance(entered, SignedIn)
    # Now that something else let in, the mailbox counts again.
    assert isinstance(await owner.signs_in(password=BETTER), CodeRequested)
    seen = await owner.sees()
    assert seen is not None
    assert "a***@example.org" in {way.masked for way in seen.contact_methods}
