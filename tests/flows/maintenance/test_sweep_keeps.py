"""What a sweep must leave: what can still be undone, finished or used, however short the retention is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.changes.test_delayed_recovery import BETTER, NEW, claims
from tests.flows.integration_codes import made
from tests.flows.people import ADA, Visitor, ada, alive

from countersign.domain.accounts.change import DAY, RECOVERY_WAIT, RECOVERY_WINDOW, ChangeKind, ChangeRequest
from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.integration_codes import verify_code
from countersign.flows.changes.undo import undo_change
from countersign.flows.maintenance.sweep import DEVICE_RETENTION, sweep
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.store.tables import changes, devices

if TYPE_CHECKING:
    from tests.flows.place import Place


PHONE = "+14155550123"


async def test_a_change_of_six_days_ago_is_undone_however_short_the_retention(home: Place) -> None:
    """A2: and what it took away comes back, contact and all."""
    visitor = await ada(home)
    assert isinstance(await visitor.adds(PHONE), Applied)
    home.clock.forward(61_000)
    phone = await visitor.contact(PHONE)
    removed = await visitor.changes(ChangeRequest(ChangeKind.CONTACT_REMOVED, phone.id, phone.masked, "Remove it"))
    assert isinstance(removed, Applied)
    for _ in range(6):
        home.clock.forward(DAY)
        await sweep(home.core, 1)
    await visitor.is_let_in()
    need = await undo_change(home.accounts, visitor.browser, await alive(visitor), removed.change.id, "Undo it")
    assert isinstance(need, ProofRequirement)
    home.clock.forward(61_000)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    await visitor.types(await visitor.code(ADA))
    undone = await undo_change(home.accounts, visitor.browser, await alive(visitor), removed.change.id, "Undo it")
    assert isinstance(undone, Applied)
    assert len((await visitor.holdings()).contacts) == 2


async def test_a_removed_contact_is_gone_when_it_cannot_come_back(home: Place) -> None:
    """O3."""
    visitor = await ada(home)
    assert isinstance(await visitor.adds(PHONE), Applied)
    home.clock.forward(61_000)
    phone = await visitor.contact(PHONE)
    assert isinstance(
        await visitor.changes(ChangeRequest(ChangeKind.CONTACT_REMOVED, phone.id, phone.masked, "Remove it")), Applied
    )
    assert await home.count("contacts") == 2
    home.clock.forward(7 * DAY)
    await sweep(home.core, 90)
    assert await home.count("contacts") == 2
    home.clock.forward(1)
    await sweep(home.core, 90)
    assert await home.count("contacts") == 1


async def test_a_claim_is_finished_on_its_last_day_however_short_the_retention(home: Place) -> None:
    """R5."""
    visitor = await ada(home)
    claimant = await claims(home)
    account = (await alive(visitor)).account
    home.clock.forward(RECOVERY_WAIT + RECOVERY_WINDOW - DAY)
    await sweep(home.core, 1)
    assert len(await home.database.read(changes.list_open, account, home.clock())) == 1
    assert isinstance(await claimant.recovers(NEW), CodeRequested)
    assert isinstance(await claimant.types(await claimant.code(NEW)), PasswordResetAllowed)
    assert isinstance(await claimant.chooses(BETTER), Applied)
    home.clock.forward(6 * DAY)
    await sweep(home.core, 1)
    assert len(await home.database.read(changes.list_open, account, home.clock())) == 1


async def test_what_is_in_use_is_left_and_what_is_over_goes(home: Place) -> None:
    """S8, I3, O3: sessions, browsers, integration codes and flows."""
    visitor = await ada(home)
    code = await made(visitor, days=30)
    other = Visitor(home)
    assert isinstance(await other.signs_in(), CodeRequested)
    await sweep(home.core, 1)
    assert (await home.count("sessions"), await home.count("visits")) == (1, 1)
    home.clock.forward(29 * DAY)
    await sweep(home.core, 1)
    assert (await home.count("sessions"), await home.count("visits")) == (0, 0)
    assert await verify_code(home.accounts, code, "a test") is not None
    home.clock.forward(3 * DAY)
    await sweep(home.core, 1)
    assert await home.count("credentials") == 0


async def test_a_browser_loses_its_address_first_and_its_name_after_four_hundred_days(home: Place) -> None:
    """O3: so that who comes back within the life of the cookie is no stranger."""
    visitor = await ada(home)
    account = (await alive(visitor)).account
    home.clock.forward(2 * DAY)
    await sweep(home.core, 1)
    (known,) = await home.database.read(devices.list_active, account)
    assert (known.ip, known.user_agent) == ("", "Firefox")
    home.clock.forward(DEVICE_RETENTION - 2 * DAY)
    await sweep(home.core, 1)
    assert len(await home.database.read(devices.list_active, account)) == 1
    home.clock.forward(1)
    await sweep(home.core, 1)
    assert await home.database.read(devices.list_active, account) == []
