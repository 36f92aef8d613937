"""Undoing never leaves an account without a contact, and what is undone is undone as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import ADA, Visitor, ada, alive

from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, ChangeRequest
from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.accounts.context import CodeRequested, InvalidCredentials
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.undo import undo_change

if TYPE_CHECKING:
    from tests.flows.place import Place


PHONE = "+14155550123"


async def undoes(visitor: Visitor, change: str, to: str) -> object:
    """Undo a change with a code that goes to `to`."""
    accounts = visitor.place.accounts
    need = await undo_change(accounts, visitor.browser, await alive(visitor), change, "Undo it")
    assert isinstance(need, ProofRequirement)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    await visitor.types(await visitor.code(to))
    return await undo_change(accounts, visitor.browser, await alive(visitor), change, "Undo it")


async def test_the_last_contact_is_not_undone_away(home: Place) -> None:
    """A1: the phone was added, the mailbox removed: taking the phone back would leave nobody who can get in."""
    visitor = await ada(home)
    added = await visitor.adds(PHONE)
    assert isinstance(added, Applied)
    home.clock.forward(61_000)
    mail = await visitor.contact(ADA)
    removed = await visitor.changes(ChangeRequest(ChangeKind.CONTACT_REMOVED, mail.id, mail.masked, "Remove it"), PHONE)
    assert isinstance(removed, Applied)
    home.clock.forward(61_000)
    assert await undoes(visitor, added.change.id, PHONE) is ChangeRefusal.LAST_CONTACT
    assert [one.masked for one in (await visitor.holdings()).contacts] == ["+1415***0123"]
    home.clock.forward(61_000)
    assert isinstance(await Visitor(home).signs_in(PHONE), CodeRequested)
    # The removal can still be undone, and then the addition.
    home.clock.forward(61_000)
    assert isinstance(await undoes(visitor, removed.change.id, PHONE), Applied)
    home.clock.forward(61_000)
    assert isinstance(await undoes(visitor, added.change.id, ADA), Applied)
    assert [one.masked for one in (await visitor.holdings()).contacts] == ["a***@example.org"]
    assert isinstance(await Visitor(home).signs_in(PHONE), InvalidCredentials)


async def test_a_shared_number_signs_its_owner_in_after_another_account_removed_it(home: Place) -> None:
    """A7: a number is shared by two accounts; the second gives it up, and the first still signs in with it."""
    first = await ada(home)
    assert isinstance(await first.adds(PHONE), Applied)
    second = await ada(home, "grace@example.org")
    home.clock.forward(61_000)
    assert isinstance(await second.adds(PHONE, "grace@example.org"), Applied)
    phone = await second.contact(PHONE)
    home.clock.forward(61_000)
    wanted = ChangeRequest(ChangeKind.CONTACT_REMOVED, phone.id, phone.masked, "Remove it")
    assert isinstance(await second.changes(wanted, "grace@example.org"), Applied)
    home.clock.forward(61_000)
    assert isinstance(await Visitor(home).signs_in(PHONE), CodeRequested)
    home.clock.forward(61_000)
    assert isinstance(await Visitor(home).recovers(PHONE), CodeRequested)
    assert "No account found" not in (await first.reads(PHONE)).text


async def test_the_number_comes_back_to_whoever_undoes_unless_another_signs_in_with_it_meanwhile(home: Place) -> None:
    """A2, A7: an undo brings a contact back, but takes nobody's sign-in away."""
    first = await ada(home)
    assert isinstance(await first.adds(PHONE), Applied)
    home.clock.forward(61_000)
    phone = await first.contact(PHONE)
    wanted = ChangeRequest(ChangeKind.CONTACT_REMOVED, phone.id, phone.masked, "Remove it")
    removed = await first.changes(wanted)
    assert isinstance(removed, Applied)
    second = await ada(home, "grace@example.org")
    home.clock.forward(61_000)
    assert isinstance(await second.adds(PHONE, "grace@example.org"), Applied)
    home.clock.forward(61_000)
    assert isinstance(await undoes(first, removed.change.id, ADA), Applied)
    assert len((await first.holdings()).contacts) == 2
    entered = await Visitor(home).is_let_in("grace@example.org")
    home.clock.forward(61_000)
    by_phone = Visitor(home)
    assert isinstance(await by_phone.signs_in(PHONE), CodeRequested)
    signed_in = await by_phone.sees()
    assert signed_in is not None
    assert signed_in.flow.account == entered.account
