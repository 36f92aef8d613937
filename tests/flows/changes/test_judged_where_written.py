"""What is judged where it is written: changes, undos and approvals, on the account and the session as they are then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.flows.people import Visitor, ada, alive

from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, ChangeRequest
from countersign.domain.accounts.session import Level, ProofRequirement, satisfies
from countersign.domain.shared.contact import parse_contact
from countersign.domain.verifications.challenge import Action
from countersign.flows.accounts.context import CodeRequested, SignedIn
from countersign.flows.accounts.sessions import end_session, use_approval
from countersign.flows.changes.apply import Applied, apply_change
from countersign.flows.changes.undo import undo_change
from countersign.store.tables import accounts

if TYPE_CHECKING:
    from tests.flows.place import Place


PHONE = "+14155550123"


async def test_a_change_under_way_is_not_made_on_an_account_that_is_disabled_meanwhile(home: Place) -> None:
    """A8, S1: the contact is proved, and is not added."""
    visitor = await ada(home)
    account = (await alive(visitor)).account
    new = parse_contact(PHONE)
    wanted = ChangeRequest(ChangeKind.CONTACT_ADDED, "", new.masked, "Add it", new)
    assert isinstance(await visitor.changes(wanted), CodeRequested)
    code = await visitor.code(PHONE)
    await home.change("UPDATE accounts SET disabled_at = 5")
    assert not isinstance(await visitor.types(code), Applied)
    await home.change("UPDATE accounts SET disabled_at = NULL")
    contacts = await home.database.read(accounts.list_contacts, account)
    assert [contact.masked for contact in contacts] == ["a***@example.org"]


async def test_a_change_is_not_made_by_a_session_that_ended_between_its_approval_and_its_write(home: Place) -> None:
    """A4, A8: whoever is signed out by the owner at that very moment."""
    owner = await ada(home)
    assert isinstance(await owner.adds(PHONE), Applied)
    home.clock.forward(61_000)
    thief = Visitor(home)
    await thief.is_let_in()
    session = await alive(thief)
    phone = await owner.contact(PHONE)
    request = ChangeRequest(ChangeKind.CONTACT_PRIMARY, phone.id, phone.masked, "Do it").for_session(session)
    assert await end_session(home.accounts, await alive(owner), session.id)
    assert await apply_change(home.accounts, thief.browser, request) is ChangeRefusal.OUTDATED
    assert not (await owner.contact(PHONE)).primary
    own = ChangeRequest(ChangeKind.CONTACT_PRIMARY, phone.id, phone.masked, "Do it").for_session(await alive(owner))
    assert isinstance(await apply_change(home.accounts, owner.browser, own), Applied)


async def test_an_undo_ends_trust_and_what_was_under_way(home: Place) -> None:
    """S4, A8: the browser that a thief trusted asks for a code, and the sign-in that they had begun is over."""
    owner = await ada(home)
    made = await owner.adds(PHONE)
    assert isinstance(made, Applied)
    home.clock.forward(61_000)
    thief = Visitor(home)
    await thief.is_let_in(remember=True)
    assert isinstance(await thief.signs_in(), SignedIn)
    begun = Visitor(home)
    home.clock.forward(61_000)
    assert isinstance(await begun.signs_in(), CodeRequested)
    code = await begun.code()
    need = await undo_change(home.accounts, owner.browser, await alive(owner), made.change.id, "Undo it")
    assert isinstance(need, ProofRequirement)
    home.clock.forward(61_000)
    assert isinstance(await owner.steps_up(need), CodeRequested)
    assert isinstance(await owner.types(await owner.code()), SignedIn)
    undone = await undo_change(home.accounts, owner.browser, await alive(owner), made.change.id, "Undo it")
    assert isinstance(undone, Applied)
    assert not isinstance(await begun.types(code), SignedIn)
    home.clock.forward(61_000)
    assert isinstance(await thief.signs_in(), CodeRequested)


async def test_an_approval_is_used_by_one_of_many(home: Place) -> None:
    """U1: by whoever comes first, even with the session as it was before."""
    visitor = await ada(home)
    need = ProofRequirement(Level.MAIL_CODE, None, Action("Do it", "1"))
    home.clock.forward(61_000)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code()), SignedIn)
    session = await alive(visitor)
    assert satisfies(session, need, home.clock())
    used = await asyncio.gather(*(use_approval(home.accounts, session, need) for _ in range(5)))
    assert sum(used) == 1
    assert not await use_approval(home.accounts, session, need)
    assert not await use_approval(home.accounts, await alive(visitor), need)
