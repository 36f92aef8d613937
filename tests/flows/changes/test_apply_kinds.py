"""What each kind of change does to an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import ADA, Visitor, ada

from countersign.domain.accounts.change import DAY, ChangeKind, ChangeRefusal, ChangeRequest
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.changes.apply import Applied
from countersign.store.tables import accounts

if TYPE_CHECKING:
    from tests.flows.place import Place

PHONE = "+14155550123"


async def test_a_new_contact_alone_does_not_recover_the_account_for_seven_days(home: Place) -> None:
    """A2: its holder is told so, and the browser is not."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    thief = Visitor(home)
    assert isinstance(await thief.recovers(PHONE), CodeRequested)
    assert "too new" in (await thief.reads(PHONE)).text
    home.clock.forward(7 * DAY)
    assert isinstance(await thief.recovers(PHONE), CodeRequested)
    await thief.types(await thief.code(PHONE))
    assert isinstance(await thief.chooses("a better battery staple"), Applied)


async def test_the_other_contact_becomes_the_first(home: Place) -> None:
    visitor = await ada(home)
    await visitor.adds(PHONE)
    phone = await visitor.contact(PHONE)
    wanted = ChangeRequest(ChangeKind.CONTACT_PRIMARY, phone.id, "+1415***0123", "Send codes here first")
    assert isinstance(await visitor.changes(wanted), Applied)
    other = Visitor(home)
    assert isinstance(await other.signs_in(), CodeRequested)
    assert await other.code(PHONE)


async def test_a_mailbox_has_one_account_and_a_phone_up_to_five(home: Place) -> None:
    """A7: which is told to who has proved that they hold it, and to nobody else."""
    first = await ada(home)
    second = await ada(home, "grace@example.org")
    assert await second.adds(ADA, "grace@example.org") is ChangeRefusal.ANOTHERS
    assert isinstance(await first.adds(PHONE), Applied)
    home.clock.forward(61_000)
    assert isinstance(await second.adds(PHONE, "grace@example.org"), Applied)
    # It signs in to the account that had it first, and gets codes for both.
    blind_index = home.accounts.blind_index(parse_contact(PHONE))
    session = await first.session()
    assert session is not None
    assert await home.database.read(accounts.find_id_by_identifier, blind_index) == session.account
