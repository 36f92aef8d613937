"""Notices: one to each proved contact that can be reached, owed in the transaction of the act itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace
from tests.flows.people import ADA, CARRIER, ada
from tests.flows.place import query

from countersign.domain.delivery.notice import NoticeKind
from countersign.flows.accounts.notify import owe_notices
from countersign.store.engine.database import Write

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
