"""Threat: a thief has the account deleted, so that its owner loses it for good.

A deletion needs a proof for itself, is told to every contact, waits, and ends with whatever shows that somebody takes the account back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
from tests.flows.people import ADA, Visitor, ada, alive
from tests.threats.owners import BETTER, MINE

from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.deletion import is_deletion_pending
from countersign.domain.accounts.session import ProofRequirement
from countersign.domain.shared.event import EventKind
from countersign.flows.accounts.context import CodeRequested, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.delayed_recovery import RecoveryPending
from countersign.flows.changes.delete_account import (
    DeletionPending,
    DeletionResult,
    cancel_deletion,
    erase_due,
    request_deletion,
)
from countersign.flows.changes.report_change import ReportOutcome, report_change
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.sign_in.recover import begin_delayed_recovery
from countersign.store.engine.database import Rows, Sql
from countersign.store.tables import accounts, events

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.account import Account
    from countersign.domain.shared.event import Event

DAY: Final = 86_400_000
DELAY: Final = 14 * DAY
PHONE: Final = "+14155550123"


async def deletes(visitor: Visitor, to: str = ADA) -> DeletionResult:
    """Ask for the deletion, and approve it with a code that goes to `to`."""
    outcome = await request_deletion(
        visitor.place.accounts, visitor.browser, await alive(visitor), "Delete your account"
    )
    if not isinstance(outcome, ProofRequirement):
        return outcome
    assert isinstance(await visitor.steps_up(outcome), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(to)), SignedIn)
    return await request_deletion(visitor.place.accounts, visitor.browser, await alive(visitor), "Delete your account")


async def found(place: Place, account: str) -> Account | None:
    """Return the account, if it is there."""
    return await place.database.read(accounts.find, account)


async def logged(place: Place, account: str, kind: EventKind) -> list[Event]:
    """Return the events of one kind about an account."""
    return [one for one in await place.database.read(events.list_of_owner, account, 0) if one.kind is kind]


async def count(place: Place, table: str) -> int:
    """Return how many rows a table has."""

    async def counted() -> Rows:
        return await Sql(f"SELECT count(*) FROM {table}")  # noqa: S608 - a name of this file

    return int((await place.rows.read(counted))[0][0])


async def test_a_session_alone_deletes_nothing(home: Place) -> None:
    """P1: neither a session, nor a proof that was given for something else."""
    owner = await ada(home)
    session = await alive(owner)
    first = await request_deletion(home.accounts, owner.browser, session, "Delete your account")
    assert isinstance(first, ProofRequirement)
    assert first.is_for_one_action
    other = ProofRequirement(first.level, None, msgspec.structs.replace(first.action, hash="other"), kind="other")
    assert isinstance(await owner.steps_up(other), CodeRequested)
    assert "Delete your account" in (await owner.reads()).text
    assert isinstance(await owner.types(await owner.code()), SignedIn)
    again = await request_deletion(home.accounts, owner.browser, await alive(owner), "Delete your account")
    assert isinstance(again, ProofRequirement)
    home.clock.forward(DELAY * 3)
    assert await erase_due(home.accounts) == 0


async def test_every_contact_is_told_and_the_account_waits(home: Place) -> None:
    """A2: nothing is erased before the delay is over, and then everything."""
    owner = await ada(home)
    await owner.adds(PHONE)
    account = (await alive(owner)).account
    home.clock.forward(8 * DAY)
    outcome = await deletes(await signs_in_anew(home))
    assert isinstance(outcome, DeletionPending)
    for to in (ADA, PHONE):
        assert await owner.told("will be deleted", to)
    home.clock.forward(DELAY - 1)
    assert await erase_due(home.accounts) == 0
    home.clock.forward(1)
    assert await erase_due(home.accounts) == 1
    assert await found(home, account) is None
    for table in ("contacts", "identifiers", "sessions", "devices", "changes", "activity", "challenges", "accounts"):
        assert await count(home, table) == 0, table
    assert [one.facts["by"] for one in await logged(home, account, EventKind.ACCOUNT_ERASED)] == ["owner"]
    while await home.deliver():
        pass
    assert "Your account was deleted" in home.carriers["carrier"].sent[-1].text


async def signs_in_anew(home: Place) -> Visitor:
    """Return a browser on which the owner has just signed in."""
    visitor = Visitor(home)
    await visitor.is_let_in()
    return visitor


async def test_the_owner_cancels_from_any_session(home: Place) -> None:
    """A3: without a further proof, and a second time does nothing."""
    owner = await ada(home)
    assert isinstance(await deletes(owner), DeletionPending)
    assert await deletes(owner) is ChangeRefusal.ALREADY_YOURS
    other = await signs_in_anew(home)
    assert await cancel_deletion(home.accounts, other.browser, await alive(other))
    assert not await cancel_deletion(home.accounts, other.browser, await alive(other))
    assert await owner.told("will not be deleted")
    home.clock.forward(DELAY * 2)
    assert await erase_due(home.accounts) == 0


async def test_the_link_of_the_notice_stops_the_deletion_and_the_thief(home: Place) -> None:
    """S6: the thief is signed out too."""
    owner = await ada(home)
    account = (await alive(owner)).account
    assert isinstance(await deletes(owner), DeletionPending)
    reported = await report_change(home.accounts, Visitor(home).browser, await owner.told("will be deleted"))
    assert reported is not None
    assert reported.outcome is ReportOutcome.LOCKED
    assert await owner.session() is None
    home.clock.forward(DELAY * 2)
    assert await erase_due(home.accounts) == 0
    left = await found(home, account)
    assert left is not None
    assert left.deletion_at is None
    assert await logged(home, account, EventKind.DELETION_CANCELED)


async def test_the_contact_that_a_thief_replaced_stops_the_deletion(home: Place) -> None:
    """A2: the old contact hears of it, and the account is there as long as the old contact can take it back."""
    thief = await ada(home)
    account = (await alive(thief)).account
    contact = await thief.contact(ADA)
    assert isinstance(await thief.adds(MINE, replaces=contact.id), Applied)
    home.clock.forward(1)
    short = msgspec.structs.replace(
        home.accounts, deletion_policy=msgspec.structs.replace(home.accounts.deletion_policy, delay=DAY)
    )
    thief.place.accounts = short
    outcome = await deletes(thief, MINE)
    assert isinstance(outcome, DeletionPending)
    assert outcome.due_at >= home.clock() + 6 * DAY
    link = await thief.told("will be deleted", ADA)
    home.clock.forward(2 * DAY)
    assert await erase_due(short) == 0
    reported = await report_change(short, Visitor(home).browser, link)
    assert reported is not None
    assert reported.outcome is ReportOutcome.LOCKED
    home.clock.forward(DELAY * 2)
    assert await erase_due(short) == 0
    assert await found(home, account) is not None


async def test_a_new_password_ends_the_deletion(home: Place) -> None:
    """A8: whatever raises the epoch of the account, and its owner is told that the account stays."""
    owner = await ada(home)
    assert isinstance(await deletes(owner), DeletionPending)
    other = Visitor(home)
    assert isinstance(await other.recovers(), CodeRequested)
    assert isinstance(await other.types(await other.code()), PasswordResetAllowed)
    assert isinstance(await other.chooses(BETTER), Applied)
    assert await owner.told("will not be deleted")
    home.clock.forward(DELAY * 2)
    assert await erase_due(home.accounts) == 0


async def test_a_change_that_knew_nothing_of_the_deletion_ends_it(home: Place) -> None:
    """A8: an older release raises the epoch and leaves the column as it is; the transaction that erases judges that."""
    owner = await ada(home)
    account = (await alive(owner)).account
    assert isinstance(await deletes(owner), DeletionPending)
    await home.change("UPDATE accounts SET epoch = epoch + 1 WHERE id = $1", account)
    home.clock.forward(DELAY * 2)
    assert await erase_due(home.accounts) == 0
    left = await found(home, account)
    assert left is not None
    assert left.deletion_at is None
    assert not is_deletion_pending(left)


async def test_nothing_is_deleted_while_somebody_takes_the_account_back(home: Place) -> None:
    """R7: neither after a report, nor while a delayed recovery waits; a closed account is not erased."""
    owner = await ada(home)
    account = (await alive(owner)).account
    assert isinstance(await deletes(owner), DeletionPending)
    home.clock.forward(DELAY - DAY)
    claimant = Visitor(home)
    assert isinstance(
        claimant._kept(await begin_delayed_recovery(home.accounts, claimant.browser, ADA, "claims@example.net")),
        CodeRequested,
    )
    assert isinstance(await claimant.types(await claimant.code("claims@example.net")), RecoveryPending)
    home.clock.forward(2 * DAY)
    assert await erase_due(home.accounts) == 0
    assert await found(home, account) is not None
    await home.change("UPDATE accounts SET deletion_at = $1, disabled_at = $1 WHERE id = $2", home.clock(), account)
    await home.change("DELETE FROM changes WHERE account = $1", account)
    home.clock.forward(DAY)
    assert await erase_due(home.accounts) == 0
    await home.change("UPDATE accounts SET disabled_at = NULL, reduced_until = $1", home.clock() + DAY)
    await home.change("UPDATE accounts SET deletion_at = NULL, deletion = '{}'")
    fresh = await signs_in_anew(home)
    assert await deletes(fresh) is ChangeRefusal.REDUCED


async def test_a_deletion_that_was_approved_before_a_change_is_refused(home: Place) -> None:
    """A8: the approval is used up, then the account changes, then the transaction judges."""
    owner, other = await ada(home), await signs_in_anew(home)
    pending = await request_deletion(home.accounts, owner.browser, await alive(owner), "Delete your account")
    assert isinstance(pending, ProofRequirement)
    assert isinstance(await owner.steps_up(pending), CodeRequested)
    code = await owner.code()
    phone = await other.adds(PHONE)
    assert isinstance(phone, Applied)
    assert not isinstance(await owner.types(code), SignedIn)
    assert isinstance(await deletes_or_not(owner), ProofRequirement)


async def deletes_or_not(visitor: Visitor) -> DeletionResult:
    """Ask for the deletion without a further proof."""
    return await request_deletion(visitor.place.accounts, visitor.browser, await alive(visitor), "Delete your account")


async def test_signing_in_and_being_erased_at_once_leaves_one_of_both(home: Place) -> None:
    """A8: of an erased account there is no session, no browser and no contact afterwards, whoever comes first."""
    owner = await ada(home)
    account = (await alive(owner)).account
    assert isinstance(await deletes(owner), DeletionPending)
    home.clock.forward(DELAY)
    other = Visitor(home)
    assert isinstance(await other.signs_in(), CodeRequested)
    code = await other.code()
    await asyncio.gather(erase_due(home.accounts), other.types(code))
    assert await found(home, account) is None
    for table in ("sessions", "devices", "contacts", "identifiers", "accounts"):
        assert await count(home, table) == 0, table
