"""Races for one account: of two acts at the same moment one comes first, and what is stored is what that order leads to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
from tests.clock import DAY, FixedClock
from tests.flows.people import CARRIER, Visitor, ada
from tests.flows.place import place_at
from tests.rounds import rounds

from countersign import passwords
from countersign.domain.accounts.change import (
    RECOVERY_WAIT,
    ChangeKind,
    ChangeRefusal,
    ChangeRequest,
    ChangeState,
)
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import BrowserContext, CodeRequested, FlowNotFound, SignedIn
from countersign.flows.changes.apply import Applied, apply_change
from countersign.flows.changes.delayed_recovery import RecoveryPending
from countersign.flows.changes.report_change import ReportOutcome, report_change
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.sign_in.recover import begin_delayed_recovery
from countersign.store.tables import accounts, changes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.flows.place import Place

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]
ROUNDS = rounds(200, 60)
BETTER = "a better battery staple"


@pytest_asyncio.fixture
async def field(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """A place on each database, where a hash costs little."""
    monkeypatch.setattr(passwords, "MEMORY_KIB", 8)
    monkeypatch.setattr(passwords, "ITERATIONS", 1)
    async with place_at(database_url, tmp_path, clock=FixedClock(), live=(CARRIER,)) as opened:
        yield opened


def browser(number: int, host: int) -> BrowserContext:
    """Return a browser on a network of its own."""
    return BrowserContext(ip=f"10.{host}.{number // 250}.{number % 250 + 1}", user_agent="Firefox", locale="en")


def mailbox(number: int, name: str = "ada") -> str:
    return f"{name}{number}@example.org"


async def opened(place: Place, number: int) -> tuple[Visitor, str]:
    """Return the browser of somebody with a new account, and the account's id."""
    place.clock.forward(61_000)
    visitor = await ada(place, mailbox(number))
    session = await visitor.session()
    assert session is not None
    return visitor, session.account


async def proved(place: Place, number: int, host: int, identifier: str) -> Visitor:
    """Return a browser that may choose a new password."""
    place.clock.forward(61_000)
    visitor = Visitor(place, browser(number, host))
    assert isinstance(await visitor.recovers(identifier), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(identifier)), PasswordResetAllowed)
    place.clock.forward(1_000)
    return visitor


async def waiting(place: Place, account: str) -> int:
    open_ = await place.database.read(changes.list_open, account, place.clock())
    return sum(one.state is ChangeState.PENDING and one.kind is ChangeKind.ACCESS_RECOVERED for one in open_)


async def test_of_two_recoveries_at_once_one_is_made(field: Place) -> None:
    """R6, A8: of a new password, and of a wait."""
    for number in range(ROUNDS):
        _, account = await opened(field, number)
        both = [await proved(field, number, host, mailbox(number)) for host in (1, 2)]
        outcomes = await asyncio.gather(*(one.chooses(f"{BETTER} {host}") for host, one in enumerate(both)))
        assert sum(isinstance(one, Applied) for one in outcomes) == 1, outcomes
        claimants = [Visitor(field, browser(number, host)) for host in (3, 4)]
        codes = []
        for name, claimant in zip("xy", claimants, strict=True):
            new = mailbox(number, name)
            claimant._kept(await begin_delayed_recovery(field.accounts, claimant.browser, mailbox(number), new))
            codes.append(await claimant.code(new))
        answers = await asyncio.gather(*(one.types(code) for one, code in zip(claimants, codes, strict=True)))
        assert all(isinstance(one, RecoveryPending) for one in answers), answers
        assert await waiting(field, account) == 1


async def test_a_claim_is_finished_or_stopped_and_never_both(field: Place) -> None:
    """R5, R6."""
    for number in range(ROUNDS):
        owner, account = await opened(field, number)
        claimant, new = Visitor(field, browser(number, 5)), mailbox(number, "new")
        claimant._kept(await begin_delayed_recovery(field.accounts, claimant.browser, mailbox(number), new))
        assert isinstance(await claimant.types(await claimant.code(new)), RecoveryPending)
        field.clock.forward(RECOVERY_WAIT - DAY)
        link = await owner.told("Someone says they lost access", mailbox(number))
        field.clock.forward(DAY - 1_000)
        found = await field.database.read(accounts.find, account)
        assert found is not None
        field.clock.forward(1_000)
        finisher = await proved(field, number, 6, new)
        # The notice of the first day is as old as the wait; those of later days say the same.
        await field.change("UPDATE notices SET expires_at = $1 WHERE account = $2", field.clock() + DAY, account)
        outcome, result = await asyncio.gather(
            finisher.chooses(BETTER), report_change(field.accounts, BrowserContext(), link)
        )
        assert result is not None
        if isinstance(outcome, Applied):
            assert result.outcome in {ReportOutcome.ALREADY_DONE, ReportOutcome.NOTHING_WAITS}, result
        else:
            assert isinstance(outcome, ChangeRefusal | FlowNotFound), outcome
            assert result.outcome is ReportOutcome.STOPPED, result
        assert await waiting(field, account) == 0


async def test_what_is_applied_while_it_is_reported_does_not_stay(field: Place) -> None:
    """A2, S6: undo against apply."""
    for number in range(ROUNDS):
        visitor, account = await opened(field, number)
        new = mailbox(number, "new")
        contact = parse_contact(new)
        field.clock.forward(61_000)
        wanted = ChangeRequest(ChangeKind.CONTACT_ADDED, "", contact.masked, "Add it", contact)
        assert isinstance(await visitor.changes(wanted, mailbox(number)), CodeRequested)
        code = await visitor.code(new)
        link = await visitor.told("Someone asked to add contact details to your account", mailbox(number))
        field.clock.forward(1_000)
        _, result = await asyncio.gather(visitor.types(code), report_change(field.accounts, BrowserContext(), link))
        assert result is not None
        assert result.outcome is ReportOutcome.LOCKED
        left = await field.database.read(accounts.list_contacts, account)
        assert [one.masked for one in left] == [parse_contact(mailbox(number)).masked]


async def test_a_contact_that_is_removed_does_not_recover_afterwards(field: Place) -> None:
    """A4, P3: remove against use."""
    phone_of = "+1415555{:04d}".format
    for number in range(ROUNDS):
        visitor, account = await opened(field, number)
        phone = phone_of(number + 100)
        field.clock.forward(61_000)
        assert isinstance(await visitor.adds(phone, mailbox(number)), Applied)
        field.clock.forward(8 * DAY)
        again = Visitor(field, browser(number, 7))
        assert isinstance(await again.signs_in(mailbox(number)), CodeRequested)
        assert isinstance(await again.types(await again.code(mailbox(number))), SignedIn)
        session = await again.session()
        assert session is not None
        target = await again.contact(phone)
        thief = await proved(field, number, 8, phone)
        request = ChangeRequest(ChangeKind.CONTACT_REMOVED, target.id, target.masked, "x").for_session(session)
        removed, recovered = await asyncio.gather(
            apply_change(field.accounts, again.browser, request), thief.chooses(BETTER)
        )
        assert isinstance(removed, Applied), removed
        assert isinstance(recovered, Applied | ChangeRefusal | FlowNotFound), recovered
        found = await field.database.read(accounts.find, account)
        assert found is not None
        assert found.recovered_by == (target.id if isinstance(recovered, Applied) else "")
        assert not isinstance(await Visitor(field).signs_in(phone, BETTER), SignedIn | CodeRequested)
        late = msgspec.structs.replace(thief.browser)
        assert isinstance(await Visitor(field, late).chooses("one more set of words"), FlowNotFound)
