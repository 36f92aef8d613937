"""What stands in an account after a change: which contact is the first, which password and factors count, and what can be undone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.flows.authenticators import enrols_app, recovery_codes
from tests.flows.changes.test_delayed_recovery import claims
from tests.flows.people import ADA, PASSWORD, Visitor, ada

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.change import RECOVERY_WAIT, ChangeKind, ChangeRequest, ChangeState
from countersign.flows.accounts.context import BrowserContext, CodeRequested, InvalidInput, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.report_change import report_change
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.store.tables import accounts, authenticators, changes

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.account import Account

NEW = "ada@elsewhere.example"
THIRD = "ada@third.example"
PHONE = "+14155550123"
BETTER = "a better battery staple"
THIEFS = "the thief's own words"


async def account_of(visitor: Visitor) -> str:
    session = await visitor.session()
    assert session is not None
    return session.account


async def stored(place: Place, account: str) -> Account:
    found = await place.database.read(accounts.find, account)
    assert found is not None
    return found


async def firsts(visitor: Visitor) -> list[tuple[str, bool]]:
    """Return the contacts and which one is the first."""
    found = await visitor.place.database.read(accounts.list_contacts, await account_of(visitor))
    return [(contact.masked, contact.primary) for contact in found]


async def test_the_contact_in_the_place_of_the_first_is_the_first(home: Place) -> None:
    """A1."""
    visitor = await ada(home)
    assert isinstance(await visitor.adds(PHONE), Applied)
    home.clock.forward(61_000)
    mail = await visitor.contact(ADA)
    assert isinstance(await visitor.adds(NEW, PHONE, replaces=mail.id), Applied)
    assert await firsts(visitor) == [("a***@elsewhere.example", True), ("+1415***0123", False)]


async def test_the_contact_in_the_place_of_another_is_not_the_first(home: Place) -> None:
    """A1."""
    visitor = await ada(home)
    assert isinstance(await visitor.adds(PHONE), Applied)
    home.clock.forward(61_000)
    phone = await visitor.contact(PHONE)
    assert isinstance(await visitor.adds(NEW, replaces=phone.id), Applied)
    assert await firsts(visitor) == [("a***@example.org", True), ("a***@elsewhere.example", False)]


async def test_when_the_first_contact_goes_the_oldest_of_the_others_is_first(home: Place) -> None:
    """A1: not the one that a thief has just added."""
    visitor = await ada(home)
    assert isinstance(await visitor.adds(PHONE), Applied)
    home.clock.forward(61_000)
    assert isinstance(await visitor.adds(THIRD), Applied)
    home.clock.forward(61_000)
    mail = await visitor.contact(ADA)
    wanted = ChangeRequest(ChangeKind.CONTACT_REMOVED, mail.id, mail.masked, "Remove it")
    assert isinstance(await visitor.changes(wanted, PHONE), Applied)
    assert await firsts(visitor) == [("+1415***0123", True), ("a***@third.example", False)]


async def test_a_new_password_has_a_new_date_and_opens_no_locked_account(home: Place) -> None:
    """A5: whatever began with the old one is over."""
    visitor = await ada(home)
    account = await account_of(visitor)
    home.clock.forward(61_000)
    hashed = await home.accounts.passwords.hash(BETTER)
    wanted = ChangeRequest(ChangeKind.PASSWORD_CHANGED, summary="Change it", password=hashed)
    assert isinstance(await visitor.changes(wanted), Applied)
    assert (await stored(home, account)).password_at == home.clock()


async def test_what_was_made_can_still_be_undone_after_a_new_password(home: Place) -> None:
    """A2, A5: a new password cancels what waits, not what was made."""
    visitor = await ada(home)
    assert isinstance(await visitor.adds(PHONE), Applied)
    home.clock.forward(61_000)
    hashed = await home.accounts.passwords.hash(BETTER)
    wanted = ChangeRequest(ChangeKind.PASSWORD_CHANGED, summary="Change it", password=hashed)
    assert isinstance(await visitor.changes(wanted), Applied)
    found = await home.database.read(changes.list_open, await account_of(visitor), home.clock())
    assert [(one.kind, one.state) for one in found] == [
        (ChangeKind.PASSWORD_CHANGED, ChangeState.APPLIED),
        (ChangeKind.CONTACT_ADDED, ChangeState.APPLIED),
    ]


async def test_after_not_me_the_password_of_before_counts_and_the_thiefs_does_not(home: Place) -> None:
    """S6, R2: of two passwords that a thief set, neither; the owner who knows the one of before needs no further contact."""
    owner = await ada(home)
    thief = Visitor(home, BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en"))
    await thief.is_let_in()
    home.clock.forward(61_000)
    reference = await owner.told("A new browser signed in")
    for password in (THIEFS, "another of the thief's"):
        hashed = await home.accounts.passwords.hash(password)
        wanted = ChangeRequest(ChangeKind.PASSWORD_CHANGED, summary="Change it", password=hashed)
        assert isinstance(await thief.changes(wanted), Applied)
        home.clock.forward(61_000)
    locked = await report_change(home.accounts, BrowserContext(), reference)
    assert locked is not None
    assert locked.undone == 2
    back = Visitor(home)
    assert isinstance(await back.recovers(), CodeRequested)
    assert isinstance(await back.types(await back.code()), PasswordResetAllowed)
    for wrong in (THIEFS, "another of the thief's"):
        assert isinstance(await back.chooses(BETTER, wrong), InvalidInput)
    assert isinstance(await back.chooses(BETTER, PASSWORD), Applied)
    home.clock.forward(61_000)
    assert isinstance(await back.signs_in(password=BETTER), CodeRequested)
    assert isinstance(await back.types(await back.code()), SignedIn)


async def test_of_two_presses_at_once_one_chooses_the_password(home: Place) -> None:
    """A5: one proof, one password."""
    await ada(home)
    visitor = Visitor(home)
    assert isinstance(await visitor.recovers(), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code()), PasswordResetAllowed)
    found = await asyncio.gather(*(visitor.chooses(f"{BETTER} {number}") for number in range(5)))
    assert sum(isinstance(one, Applied) for one in found) == 1


async def test_a_finished_claim_ends_what_was_lost_opens_what_was_locked_and_can_be_taken_back(home: Place) -> None:
    """R5, R2: who lost the app is not asked for it; the factors come back if an old contact takes the account back."""
    owner = await ada(home)
    account = await account_of(owner)
    await recovery_codes(owner)
    home.clock.forward(61_000)
    await enrols_app(owner)
    factors = await home.database.read(authenticators.list_active, account)
    assert len(factors) == 11
    claimant = await claims(home)
    home.clock.forward(RECOVERY_WAIT)
    await home.change("UPDATE accounts SET locked_at = 5, recovered_by = 'con_x'")
    assert isinstance(await claimant.recovers(NEW), CodeRequested)
    assert isinstance(await claimant.types(await claimant.code(NEW)), PasswordResetAllowed)
    assert isinstance(await claimant.chooses(BETTER), Applied)
    assert await home.database.read(authenticators.list_active, account) == []
    after = await stored(home, account)
    assert (after.locked_at, after.recovered_by, after.password_at) == (None, "", home.clock())
    assert after.reduced_until > home.clock()
    home.clock.forward(61_000)
    assert isinstance(await claimant.signs_in(ADA, BETTER), CodeRequested)
    view = await claimant.sees()
    assert view is not None
    assert view.authenticators == ()
    assert isinstance(await claimant.types(await claimant.code(NEW)), SignedIn)
    reference = await owner.told("Your account was taken over after the waiting time")
    assert await report_change(home.accounts, BrowserContext(), reference) is not None
    back = await home.database.read(authenticators.list_active, account)
    assert {one.id for one in back} == {one.id for one in factors}
    assert {one.kind for one in back} == {AuthenticatorKind.APP, AuthenticatorKind.RECOVERY_CODE}


async def test_two_firsts_are_never_left_by_a_claim(home: Place) -> None:
    """R5: the new contact is the first and the only one."""
    owner = await ada(home)
    account = await account_of(owner)
    assert isinstance(await owner.adds(PHONE), Applied)
    home.clock.forward(61_000)
    claimant = await claims(home)
    home.clock.forward(RECOVERY_WAIT)
    assert isinstance(await claimant.recovers(NEW), CodeRequested)
    assert isinstance(await claimant.types(await claimant.code(NEW)), PasswordResetAllowed)
    assert isinstance(await claimant.chooses(BETTER), Applied)
    contacts = await home.database.read(accounts.list_contacts, account)
    assert [contact.masked for contact in contacts if contact.primary] == ["a***@elsewhere.example"]
