"""Delayed recovery: it waits, every contact is told daily and can stop it, and it ends by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import ADA, CARRIER, PASSWORD, Visitor, ada

from countersign.domain.accounts.change import DAY, RECOVERY_WAIT, ChangeKind, ChangeRefusal
from countersign.domain.accounts.recovery import BAR
from countersign.flows.accounts.context import (
    BrowserContext,
    CodeRequested,
    NoEligibleMethod,
    SignedIn,
)
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.delayed_recovery import RecoveryPending, send_reminders
from countersign.flows.changes.report_change import report_change
from countersign.flows.changes.undo import cancel_change
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.sign_in.recover import begin_delayed_recovery
from countersign.store.tables import changes

if TYPE_CHECKING:
    from tests.flows.place import Place

BETTER = "a better battery staple"
PHONE = "+14155550123"
NEW = "ada@elsewhere.example"


async def claims(place: Place, identifier: str = ADA, contact: str = NEW) -> Visitor:
    """Return the browser of somebody who says that everything is lost, and has proved a new contact."""
    claimant = Visitor(place, BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en"))
    assert isinstance(
        claimant._kept(await begin_delayed_recovery(place.accounts, claimant.browser, identifier, contact)),
        CodeRequested,
    )
    assert isinstance(await claimant.types(await claimant.code(contact)), RecoveryPending)
    return claimant


async def test_lost_everything_waits_is_told_daily_and_gets_back_in(home: Place) -> None:
    """R5: after the wait the new contact recovers the account, with reduced rights for a time."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    session = await visitor.session()
    assert session is not None
    claimant = await claims(home)
    while await home.deliver():
        pass
    for to in (ADA, PHONE):
        assert [one for one in home.carriers[CARRIER].sent if one.to == to and "lost access" in one.text]
    for day in range(1, 7):
        home.clock.forward(DAY)
        assert await send_reminders(home.accounts) == 1
        assert await send_reminders(home.accounts) == 0
        while await home.deliver():
            pass
        told = [one for one in home.carriers[CARRIER].sent if one.to == ADA and "still waiting" in one.text]
        assert len(told) == day
    early = Visitor(home)
    assert isinstance(await early.recovers(NEW), CodeRequested)
    assert "No account found" in (await early.reads(NEW)).text
    home.clock.forward(DAY)
    assert isinstance(await claimant.recovers(NEW), CodeRequested)
    assert isinstance(await claimant.types(await claimant.code(NEW)), PasswordResetAllowed)
    assert isinstance(await claimant.chooses(BETTER), Applied)
    assert isinstance(await claimant.signs_in(ADA, BETTER), CodeRequested)
    home.clock.forward(61_000)
    assert isinstance(await claimant.types(await claimant.code(NEW)), SignedIn)
    phone = await claimant.contact(PHONE)
    from countersign.domain.accounts.change import ChangeRequest

    refused = await claimant.changes(ChangeRequest(ChangeKind.CONTACT_REMOVED, phone.id, "x", "Remove it"), NEW)
    assert refused is ChangeRefusal.REDUCED
    # Whoever still holds an old contact can take it back for another week.
    reference = await claimant.told("Your account was taken over after the waiting time")
    assert await report_change(home.accounts, BrowserContext(), reference) is not None
    assert await claimant.session() is None
    owner = Visitor(home)
    home.clock.forward(61_000)
    assert isinstance(await owner.recovers(PHONE), CodeRequested)
    assert isinstance(await owner.types(await owner.code(PHONE)), PasswordResetAllowed)


async def test_any_contact_or_session_stops_the_wait(home: Place) -> None:
    """R5: at the word of a contact nothing else ends; from a session it takes one press."""
    visitor = await ada(home)
    session = await visitor.session()
    assert session is not None
    await claims(home)
    reference = await visitor.told("Someone says they lost access to your account")
    stopped = await report_change(home.accounts, BrowserContext(), reference)
    assert stopped is not None
    assert stopped.stopped
    assert await visitor.session() is not None
    home.clock.forward(BAR)
    await visitor.is_let_in()
    await claims(home)
    (pending,) = await home.database.read(changes.list_open, session.account, home.clock())
    assert isinstance(await cancel_change(home.accounts, visitor.browser, session.account, pending.id), Applied)
    home.clock.forward(RECOVERY_WAIT)
    assert await send_reminders(home.accounts) == 0
    late = Visitor(home)
    assert isinstance(await late.recovers(NEW), CodeRequested)
    assert "No account found" in (await late.reads(NEW)).text


async def test_a_delayed_recovery_of_an_unknown_account_looks_the_same(home: Place) -> None:
    """R1."""
    await claims(home, "nobody@example.org")
    home.clock.forward(RECOVERY_WAIT)
    late = Visitor(home)
    assert isinstance(await late.recovers(NEW), CodeRequested)
    assert "No account found" in (await late.reads(NEW)).text


async def test_a_delayed_recovery_that_nobody_finishes_expires(home: Place) -> None:
    """R5."""
    await ada(home)
    await claims(home)
    home.clock.forward(2 * RECOVERY_WAIT)
    assert await send_reminders(home.accounts) == 0
    late = Visitor(home)
    assert isinstance(await late.recovers(NEW), CodeRequested)
    assert "No account found" in (await late.reads(NEW)).text
    assert isinstance(await Visitor(home).signs_in(password=PASSWORD), CodeRequested | NoEligibleMethod)
