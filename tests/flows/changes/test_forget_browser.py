"""Forgetting a browser: by its owner, at once, and by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import Visitor, ada, alive

from countersign.flows.accounts.context import BrowserContext, CodeRequested
from countersign.flows.changes.forget_browser import forget_browser
from countersign.store.tables import devices

if TYPE_CHECKING:
    from tests.flows.place import Place


SAFARI = BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en")


async def test_forgetting_a_browser_ends_its_trust_and_its_sessions_at_once(home: Place) -> None:
    """A4."""
    visitor = await ada(home)
    owner = Visitor(home, SAFARI)
    await owner.is_let_in(remember=True)
    known = await home.database.read(devices.list_active, (await alive(visitor)).account)
    phone = next(device for device in known if device.trusted(home.clock()))
    assert await forget_browser(home.accounts, await alive(visitor), phone.id)
    assert await owner.session() is None
    assert isinstance(await owner.signs_in(), CodeRequested)
    assert not await forget_browser(home.accounts, await alive(visitor), phone.id)


async def test_nobody_forgets_a_browser_of_another_account(home: Place) -> None:
    visitor = await ada(home)
    grace = await ada(home, "grace@example.org")
    session = await alive(grace)
    assert not await forget_browser(home.accounts, session, "dev_unknown")
    known = await home.database.read(devices.list_active, (await alive(visitor)).account)
    assert not await forget_browser(home.accounts, session, known[0].id)
    assert await visitor.session() is not None
