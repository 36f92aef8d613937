"""Notices: one to each proved contact that can be reached, owed in the transaction of the act itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace
from tests.flows.accounts.test_gathered_notices import BY_PHONE, sent, tell
from tests.flows.people import ADA, CARRIER, ada
from tests.flows.place import query

from countersign.domain.accounts.notice_budget import HOUR
from countersign.domain.delivery.notice import CONTACT_FACT, NoticeKind
from countersign.domain.shared.contact import ContactKind
from countersign.flows.accounts.notify import owe_notices
from countersign.store.engine.database import Write
from countersign.store.tables.notices import list_held

if TYPE_CHECKING:
    from tests.flows.people import Visitor
    from tests.flows.place import Place

    from countersign.domain.accounts.account import OwnedContact
    from countersign.store.engine.database import Change

PHONE = "+14155550123"


async def notices(visitor: Visitor, account: object, contacts: list[OwnedContact]) -> tuple[Change, ...]:
    """Return the changes that owe a notice to these contacts."""
    context = visitor.place.accounts
    return await owe_notices(
        context,
        account,  # type: ignore[arg-type] # an account of the test
        contacts,
        NoticeKind.NEW_DEVICE,
        browser=visitor.browser,
        place="Springfield",
        now=context.now(),
    )


async def test_every_proved_contact_gets_a_notice(home: Place) -> None:
    visitor = await ada(home)
    await visitor.adds(PHONE)
    await visitor.reads(PHONE)
    snapshot = await visitor.holdings()

    async def owe() -> None:
        await Write(await notices(visitor, snapshot.account, list(snapshot.contacts)), last=True)

    sent = len(home.carriers[CARRIER].sent)
    await home.database.run(owe)
    await home.deliver()
    assert {message.to for message in home.carriers[CARRIER].sent[sent:]} == {ADA, PHONE}


async def test_a_contact_that_is_not_proved_gets_none(home: Place) -> None:
    visitor = await ada(home)
    snapshot = await visitor.holdings()
    unproved = [replace(one, proved_at=None) for one in snapshot.contacts]

    async def owe() -> None:
        assert await notices(visitor, snapshot.account, unproved) == ()

    await home.database.run(owe)


async def test_a_reminder_beyond_its_budget_says_nothing_new_and_is_left_out(home: Place) -> None:
    """L4, R5: neither now nor later, with what was held."""
    visitor = await ada(home)
    snapshot = await visitor.holdings()
    context, before = home.accounts, await home.count("notices")

    async def owe() -> None:
        owed = await owe_notices(
            context,
            snapshot.account,
            snapshot.contacts,
            NoticeKind.ACCESS_WAITS,
            browser=visitor.browser,
            place="",
            now=context.now(),
            facts={"change": "chg_1"},
        )
        await Write(owed, last=True)

    for _ in range(3):
        await home.database.run(owe)
    assert await home.count("notices") == before + 1
    assert await home.database.read(query, "SELECT id FROM notices WHERE held_until IS NOT NULL") == []


async def test_many_new_numbers_use_up_nothing_of_an_older_one(home: Place) -> None:
    """L4: a thief who adds numbers does not keep the owner's telephone silent."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    snapshot, keyring = await visitor.holdings(), home.keyring
    phone = next(one for one in snapshot.contacts if one.kind is ContactKind.PHONE)
    numbers = [
        replace(phone, id=f"con_{age}", added_at=age, address=keyring.seal(f"+141555502{age}", f"con_{age}"))
        for age in range(10, 26)
    ]
    home.clock.forward(48 * HOUR)

    async def owe() -> None:
        await Write(await notices(visitor, snapshot.account, numbers[::-1]), last=True)

    await home.database.run(owe)
    held = await home.database.read(list_held, snapshot.account.id, 100)
    assert [one.facts[CONTACT_FACT] for one in held] == ["con_25"]


async def test_what_is_held_uses_up_no_other_budget(home: Place) -> None:
    """L4: what one number is not sent is not taken from the others of the account."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    snapshot = await visitor.holdings()
    phone = next(one for one in snapshot.contacts if one.kind is ContactKind.PHONE)
    other = replace(phone, id="con_other", address=home.keyring.seal("+14155550234", "con_other"))
    home.clock.forward(48 * HOUR)
    for contact in (*[phone] * 15, other):

        async def owe(contact: OwnedContact = contact) -> None:
            await Write(await notices(visitor, snapshot.account, [contact]), last=True)

        await home.database.run(owe)
    held = await home.database.read(list_held, snapshot.account.id, 100)
    assert [one.facts[CONTACT_FACT] for one in held] == [phone.id] * 10


async def test_a_budget_belongs_to_the_address_and_not_to_its_row(home: Place) -> None:
    """L4: whoever removes a number and adds it again has not more messages for it."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    snapshot = await visitor.holdings()
    again = replace(
        snapshot,
        contacts=tuple(
            replace(one, id=f"{one.id}x", address=home.keyring.seal(address, f"{one.id}x"))
            for one in snapshot.contacts
            for address in [home.keyring.unseal(one.address, one.id)]
        ),
    )
    home.clock.forward(48 * HOUR)
    await sent(home, PHONE)
    await tell(home, snapshot, NoticeKind.METHOD_ADDED, BY_PHONE)
    await tell(home, again, NoticeKind.METHOD_ADDED, BY_PHONE)
    assert len(await sent(home, PHONE)) == BY_PHONE
