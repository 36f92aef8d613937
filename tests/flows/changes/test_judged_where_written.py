"""A change is judged where it is written: of a disabled account and of a session that has ended none is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import Visitor, ada

from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, ChangeRequest
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.accounts.sessions import end_session
from countersign.flows.changes.apply import Applied, apply_change
from countersign.store.tables import accounts

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.session import Session

PHONE = "+14155550123"


async def alive(visitor: Visitor) -> Session:
    session = await visitor.session()
    assert session is not None
    return session


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
