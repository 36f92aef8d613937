"""What is stored of browsers, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import Visitor, ada, alive
from tests.flows.place import query

from countersign.flows.accounts.context import BrowserContext
from countersign.flows.changes.forget_browser import forget_browser
from countersign.flows.maintenance.sweep import sweep
from countersign.store.tables import devices

if TYPE_CHECKING:
    from tests.flows.place import Place


SAFARI = BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en")
DAY = 86_400_000


async def test_what_is_kept_of_browsers_goes_in_its_time(home: Place) -> None:
    """O3: addresses after the configured days, a browser once it has lost its cookie, ended ones with the addresses."""
    visitor = await ada(home)
    other = Visitor(home, SAFARI)
    await other.is_let_in()
    known = await home.database.read(devices.list_active, (await alive(visitor)).account)
    assert await forget_browser(home.accounts, await alive(visitor), known[0].id)
    await sweep(home.core, 30)
    assert await home.count("devices") == 2
    assert await home.count("sessions") == 1
    home.clock.forward(31 * DAY)
    await sweep(home.core, 30)
    assert await home.count("devices") == 1
    assert await home.count("sessions") == await home.count("visits") == await home.count("notices") == 0
    rows = await home.database.read(query, "SELECT ip FROM devices")
    assert list(rows) == [("",)]
    home.clock.forward(400 * DAY)
    await sweep(home.core, 30)
    assert await home.count("devices") == 0
    assert await home.count("accounts") == 1
