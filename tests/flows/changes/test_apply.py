"""Applying a change: once, in one transaction, with all that ends by it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.flows.people import ADA, Visitor, ada

from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, ChangeRequest
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import CodeRequested, FlowNotFound, InvalidCredentials
from countersign.flows.accounts.sessions import end_others
from countersign.flows.changes.apply import Applied, apply_change
from countersign.flows.changes.undo import cancel_change
from countersign.store.tables import changes

if TYPE_CHECKING:
    from tests.flows.place import Place

PHONE = "+14155550123"


def remove(which: str, about: str = "a***@example.org") -> ChangeRequest:
    return ChangeRequest(ChangeKind.CONTACT_REMOVED, which, about, "Remove it")


async def test_a_pending_change_dies_with_its_session_and_is_canceled_from_another(home: Place) -> None:
    """A3."""
    visitor = await ada(home)
    phone = Visitor(home)
    await phone.is_let_in()
    wanted = ChangeRequest(
        ChangeKind.CONTACT_ADDED, about="+1415***0123", summary="Add it", contact=parse_contact(PHONE)
    )
    assert isinstance(await visitor.changes(wanted), CodeRequested)
    code = await visitor.code(PHONE)
    session = await phone.session()
    assert session is not None
    (pending,) = await home.database.read(changes.list_open, session.account, home.clock())
    await end_others(home.accounts, session)
    assert await visitor.types(code) is ChangeRefusal.NOT_PENDING

    assert isinstance(await phone.changes(wanted), CodeRequested)
    code = await phone.code(PHONE)
    open_ = [
        one
        for one in await home.database.read(changes.list_open, session.account, home.clock())
        if one.id != pending.id
    ]
    assert isinstance(await cancel_change(home.accounts, phone.browser, session.account, open_[0].id), Applied)
    assert await phone.types(code) is ChangeRefusal.NOT_PENDING
    assert [contact.masked for contact in (await phone.holdings()).contacts] == ["a***@example.org"]


async def test_the_last_contact_stays(home: Place) -> None:
    """A4: also where the two last ones are removed at the same time."""
    visitor = await ada(home)
    mail = await visitor.contact(ADA)
    assert await visitor.changes(remove(mail.id)) is ChangeRefusal.LAST_CONTACT
    await visitor.adds(PHONE)
    phone = await visitor.contact(PHONE)
    session = await visitor.session()
    assert session is not None
    both = [wanted.for_session(session) for wanted in (remove(mail.id), remove(phone.id, "+1415***0123"))]
    done = await asyncio.gather(*(apply_change(home.accounts, visitor.browser, one) for one in both))
    assert sorted(type(one).__name__ for one in done) == ["Applied", "ChangeRefusal"]
    assert len((await visitor.holdings()).contacts) == 1


async def test_a_password_change_ends_everything_else(home: Place) -> None:
    """A5, S4: other sessions, all trust, what is pending and every flow that began before."""
    visitor = await ada(home)
    other = Visitor(home)
    await other.is_let_in(remember=True)
    waiting = Visitor(home)
    assert isinstance(await waiting.signs_in(), CodeRequested)
    code = await waiting.code()
    wanted = ChangeRequest(
        ChangeKind.CONTACT_ADDED, about="+1415***0123", summary="Add it", contact=parse_contact(PHONE)
    )
    assert isinstance(await other.changes(wanted), CodeRequested)
    home.clock.forward(61_000)
    hashed = await home.accounts.passwords.hash("a better battery staple")
    assert isinstance(
        await visitor.changes(ChangeRequest(ChangeKind.PASSWORD_CHANGED, summary="Change it", password=hashed)), Applied
    )
    assert await visitor.session() is not None
    assert await other.session() is None
    assert isinstance(await waiting.types(code), FlowNotFound)
    assert isinstance(await other.signs_in(), InvalidCredentials)
    assert isinstance(await other.signs_in(password="a better battery staple"), CodeRequested)
    await visitor.told("Your password was changed")
    session = await visitor.session()
    assert session is not None
    left = await home.database.read(changes.list_open, session.account, home.clock())
    assert [one.kind for one in left] == [ChangeKind.PASSWORD_CHANGED]
    assert not left[0].is_undoable(home.clock())
