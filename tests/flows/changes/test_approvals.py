"""What approves a change, and what does not: the strongest proof that is enrolled, for this very change, within its time, once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.flows.authenticators import app_code, enrols_app
from tests.flows.people import ADA, Visitor, ada, alive

from countersign.domain.accounts.authenticator import MAX_NAME
from countersign.domain.accounts.change import PENDING_LIFETIME, ChangeKind, ChangeRefusal, ChangeRequest
from countersign.domain.accounts.session import Level, ProofRequirement
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import CodeRequested, SignedIn
from countersign.flows.changes.apply import Applied, apply_change
from countersign.flows.changes.enrol import authenticator_name
from countersign.flows.changes.request import pending_request
from countersign.flows.changes.submit import submit_change
from countersign.flows.changes.undo import undo_change
from countersign.store.tables import changes
from countersign.totp import STEP

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.session import Session

PHONE = "+14155550123"
NEW = "ada@elsewhere.example"


def about(kind: ChangeKind, which: str) -> ChangeRequest:
    return ChangeRequest(kind, which, "x", "Do it")


async def test_where_an_app_is_enrolled_it_approves_every_change_and_no_message_does(home: Place) -> None:
    """U4, A1: a mailbox and an open session are not enough."""
    visitor = await ada(home)
    assert isinstance(await visitor.adds(PHONE), Applied)
    home.clock.forward(61_000)
    secret = await enrols_app(visitor)
    phone = await visitor.contact(PHONE)
    session = await alive(visitor)
    new = parse_contact(NEW)
    for wanted in (
        about(ChangeKind.CONTACT_REMOVED, phone.id),
        about(ChangeKind.CONTACT_PRIMARY, phone.id),
        ChangeRequest(ChangeKind.CONTACT_ADDED, "", new.masked, "Add it", new),
        ChangeRequest(ChangeKind.RECOVERY_CODES_MADE, summary="Make them"),
        ChangeRequest(ChangeKind.PASSWORD_CHANGED, summary="Change it", password="x"),
    ):
        need = await submit_change(home.accounts, visitor.browser, session, wanted)
        assert isinstance(need, ProofRequirement), wanted
        assert need.level is Level.APP_CODE
    sent = len(home.carriers["carrier"].sent)
    home.clock.forward(5 * STEP)
    wanted = about(ChangeKind.CONTACT_PRIMARY, phone.id)
    need = await submit_change(home.accounts, visitor.browser, session, wanted)
    assert isinstance(need, ProofRequirement)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    view = await visitor.sees()
    assert view is not None
    assert (view.challenge, view.contact_methods) == (None, ())
    assert isinstance(await app_code(visitor, secret), SignedIn)
    assert isinstance(await submit_change(home.accounts, visitor.browser, await alive(visitor), wanted), Applied)
    texts = [one.text for one in home.carriers["carrier"].sent[sent:]]
    assert not [text for text in texts if "code" in text.split("\n")[0]]


async def test_an_approval_of_one_change_makes_no_other(home: Place) -> None:
    """U2: neither of another kind, nor of another contact."""
    visitor = await ada(home)
    assert isinstance(await visitor.adds(PHONE), Applied)
    home.clock.forward(61_000)
    phone, mail = await visitor.contact(PHONE), await visitor.contact(ADA)
    need = await submit_change(
        home.accounts, visitor.browser, await alive(visitor), about(ChangeKind.CONTACT_PRIMARY, phone.id)
    )
    assert isinstance(need, ProofRequirement)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(ADA)), SignedIn)
    for other in (
        about(ChangeKind.CONTACT_REMOVED, phone.id),
        about(ChangeKind.CONTACT_REMOVED, mail.id),
        ChangeRequest(ChangeKind.CONTACT_PRIMARY, phone.id, "y", "Do it"),
        ChangeRequest(ChangeKind.CONTACT_PRIMARY, phone.id, "x", "Do something"),
        ChangeRequest(ChangeKind.CONTACT_ADDED, phone.id, "x", "Do it", parse_contact(NEW)),
    ):
        outcome = await submit_change(home.accounts, visitor.browser, await alive(visitor), other)
        assert isinstance(outcome, ProofRequirement), other
    right = about(ChangeKind.CONTACT_PRIMARY, phone.id)
    assert isinstance(await submit_change(home.accounts, visitor.browser, await alive(visitor), right), Applied)
    again = about(ChangeKind.CONTACT_PRIMARY, mail.id)
    assert isinstance(
        await submit_change(home.accounts, visitor.browser, await alive(visitor), again), ProofRequirement
    )


async def test_a_change_that_waits_for_its_contact_waits_half_an_hour(home: Place) -> None:
    """A2: where it is written too."""
    visitor = await ada(home)
    new = parse_contact(NEW)
    wanted = ChangeRequest(ChangeKind.CONTACT_ADDED, "", new.masked, "Add it", new)
    assert isinstance(await visitor.changes(wanted), CodeRequested)
    session = await alive(visitor)
    (waiting,) = await home.database.read(changes.list_open, session.account, home.clock())
    request = pending_request(home.accounts, waiting)
    home.clock.forward(PENDING_LIFETIME - (home.clock() - waiting.asked_at))
    assert await apply_change(home.accounts, visitor.browser, request) is ChangeRefusal.NOT_PENDING
    assert await home.database.read(changes.list_open, session.account, home.clock()) == []


async def approved_undo(visitor: Visitor, change: str) -> Session:
    """Approve an undo with a code to the mailbox; return the session."""
    need = await undo_change(visitor.place.accounts, visitor.browser, await alive(visitor), change, "Undo it")
    assert isinstance(need, ProofRequirement)
    visitor.place.clock.forward(61_000)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(ADA)), SignedIn)
    return await alive(visitor)


async def test_an_approval_of_one_undo_undoes_no_other(home: Place) -> None:
    """U2."""
    visitor = await ada(home)
    first = await visitor.adds(PHONE)
    home.clock.forward(61_000)
    second = await visitor.adds(NEW)
    assert isinstance(first, Applied)
    assert isinstance(second, Applied)
    session = await approved_undo(visitor, first.change.id)
    other = await undo_change(home.accounts, visitor.browser, session, second.change.id, "Undo it")
    assert isinstance(other, ProofRequirement)
    assert isinstance(await undo_change(home.accounts, visitor.browser, session, first.change.id, "Undo it"), Applied)


async def test_of_two_undos_at_once_one_is_made(home: Place) -> None:
    """A2: from two sessions, each with an approval of its own."""
    visitor = await ada(home)
    made = await visitor.adds(PHONE)
    assert isinstance(made, Applied)
    home.clock.forward(61_000)
    other = Visitor(home)
    await other.is_let_in()
    pairs = []
    for one in (visitor, other):
        home.clock.forward(61_000)
        pairs.append((one, await approved_undo(one, made.change.id)))
    told = await home.count("notices")
    found = await asyncio.gather(
        *(undo_change(home.accounts, one.browser, session, made.change.id, "Undo it") for one, session in pairs)
    )
    assert sum(isinstance(outcome, Applied) for outcome in found) == 1
    assert await home.count("notices") == told + 1


def test_the_name_of_an_authenticator_is_short_and_printable() -> None:
    assert authenticator_name(" My\u202e phone\n") == "My phone"
    assert authenticator_name("x" * 500) == "x" * MAX_NAME
    assert authenticator_name("\n", "Passkey") == "Passkey"


async def test_a_contact_that_is_asked_for_is_told_to_those_that_are_there(home: Place) -> None:
    """A2, S6: before it is proved."""
    visitor = await ada(home)
    new = parse_contact(NEW)
    wanted = ChangeRequest(ChangeKind.CONTACT_ADDED, "", new.masked, "Add it", new)
    assert isinstance(await visitor.changes(wanted), CodeRequested)
    assert await visitor.told("Someone asked to add contact details to your account")
    (waiting,) = await home.database.read(changes.list_open, (await alive(visitor)).account, home.clock())
    assert waiting.about == new.masked
