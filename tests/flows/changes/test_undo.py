"""Undoing a change: it is canceled, taken back, or undone with everything since by a contact's word."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.flows.people import ADA, CARRIER, Visitor, ada

from countersign.domain.accounts.change import DAY, ChangeKind, ChangeRefusal, ChangeRequest
from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.accounts.context import BrowserContext, CodeRequested, InvalidCredentials
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.report_change import report_change
from countersign.flows.changes.request import requirement_of
from countersign.flows.changes.submit import submit_change
from countersign.flows.changes.undo import undo_change
from countersign.store.tables import accounts

if TYPE_CHECKING:
    from tests.flows.place import Place

NEW = "ada@elsewhere.example"
PHONE = "+14155550123"


def remove(which: str, about: str = "a***@example.org") -> ChangeRequest:
    return ChangeRequest(ChangeKind.CONTACT_REMOVED, which, about, "Remove it")


async def test_the_old_contact_is_told_and_undoes_it(home: Place) -> None:
    """A2, S6: told when asked and when done; within 7 days its word brings everything back and closes the account."""
    visitor = await ada(home)
    before = await visitor.contact(ADA)
    assert isinstance(await visitor.adds(NEW, replaces=before.id), Applied)
    await visitor.told("Someone asked to add contact details to your account")
    reference = await visitor.told("Contact details were replaced on your account")
    # The new contact is not asked whether it was itself.
    assert not [one for one in home.carriers[CARRIER].sent if one.to == NEW and "were replaced" in one.text]
    home.clock.forward(6 * DAY)
    outcome = await report_change(home.accounts, BrowserContext(), reference)
    assert outcome is not None
    assert outcome.undone == 1
    assert await visitor.session() is None
    assert isinstance(await Visitor(home).signs_in(ADA), InvalidCredentials)
    owner = Visitor(home)
    assert isinstance(await owner.recovers(ADA), CodeRequested)
    await owner.types(await owner.code(ADA))
    assert isinstance(await owner.chooses("a better battery staple"), Applied)
    assert isinstance(await owner.signs_in(ADA, "a better battery staple"), CodeRequested)
    assert isinstance(await Visitor(home).signs_in(NEW, "a better battery staple"), InvalidCredentials)


async def test_undoing_ends_with_the_seventh_day(home: Place) -> None:
    """A2."""
    visitor = await ada(home)
    mail = await visitor.contact(ADA)
    await visitor.adds(NEW, replaces=mail.id)
    reference = await visitor.told("Contact details were replaced on your account")
    home.clock.forward(7 * DAY)
    assert await report_change(home.accounts, BrowserContext(), reference) is None


async def test_a_removed_contact_neither_signs_in_nor_gets_codes_and_can_come_back(home: Place) -> None:
    """A4, A2: from the page too, after a step-up for this very act."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    mail = await visitor.contact(ADA)
    removed = await visitor.changes(remove(mail.id), PHONE)
    assert isinstance(removed, Applied)
    assert isinstance(await Visitor(home).signs_in(ADA), InvalidCredentials)
    assert (await visitor.contact(PHONE)).primary
    session = await visitor.session()
    assert session is not None
    need = await undo_change(home.accounts, visitor.browser, session, removed.change.id, "Undo it")
    assert isinstance(need, ProofRequirement)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    await visitor.types(await visitor.code(PHONE))
    session = await visitor.session()
    assert session is not None
    assert isinstance(await undo_change(home.accounts, visitor.browser, session, removed.change.id, "Undo it"), Applied)
    assert (await visitor.contact(ADA)).primary
    assert not (await visitor.contact(PHONE)).primary
    assert isinstance(await Visitor(home).signs_in(ADA), CodeRequested)
    assert (
        await undo_change(home.accounts, visitor.browser, session, removed.change.id, "Undo it")
        is ChangeRefusal.NOT_PENDING
    )


async def test_two_changes_of_the_same_contact_are_made_one_after_the_other(home: Place) -> None:
    """A2: undo against apply: whichever comes first, the account ends as one of the two left it, with a contact."""
    visitor = await ada(home)
    mail = await visitor.contact(ADA)
    replaced = await visitor.adds(NEW, replaces=mail.id)
    assert isinstance(replaced, Applied)
    home.clock.forward(60_000)
    await visitor.adds(PHONE, NEW)
    home.clock.forward(60_000)
    reference = await visitor.told("Contact details were replaced on your account")
    new = await visitor.contact(NEW)
    wanted = remove(new.id, new.masked)
    need = requirement_of(home.accounts, wanted, await visitor.holdings())
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    await visitor.types(await visitor.code(PHONE))
    session = await visitor.session()
    assert session is not None
    await asyncio.gather(
        submit_change(home.accounts, visitor.browser, session, wanted),
        report_change(home.accounts, BrowserContext(), reference),
    )
    contacts = await home.database.read(accounts.list_contacts, session.account)
    assert [contact.masked for contact in contacts] == ["a***@example.org"]
    assert [contact.primary for contact in contacts] == [True]
