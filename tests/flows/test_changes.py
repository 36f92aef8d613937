"""Changes of an account: each is approved for itself, proved where it is new, told, and can be undone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.flows.people import ADA, CARRIER, Visitor, ada

from countersign.domain.accounts.change import DAY, ChangeKind, ChangeRefusal, ChangeRequest
from countersign.domain.accounts.session import ProofRequirement
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import BrowserContext, CodeRequested, FlowNotFound, InvalidCredentials, SignedIn
from countersign.flows.accounts.sessions import end_others
from countersign.flows.changes.apply import Applied, apply_change
from countersign.flows.changes.report_change import report_change
from countersign.flows.changes.request import requirement_of
from countersign.flows.changes.submit import submit_change
from countersign.flows.changes.undo import cancel_change, undo_change
from countersign.store.tables import accounts, changes

if TYPE_CHECKING:
    from tests.flows.place import Place

NEW = "ada@elsewhere.example"
PHONE = "+14155550123"
OTHER = "+14155550177"


def remove(which: str, about: str = "a***@example.org") -> ChangeRequest:
    return ChangeRequest(ChangeKind.CONTACT_REMOVED, which, about, "Remove it")


async def test_a_contact_is_asked_for_approved_proved_and_then_there(home: Place) -> None:
    """A1, A7: the old one works until then, and the new one is nothing before it is proved."""
    visitor = await ada(home)
    asked = await visitor.changes(
        ChangeRequest(ChangeKind.CONTACT_ADDED, about="+1415***0123", summary="Add it", contact=parse_contact(PHONE))
    )
    assert isinstance(asked, CodeRequested)
    assert [contact.masked for contact in (await visitor.holdings()).contacts] == ["a***@example.org"]
    assert isinstance(await Visitor(home).signs_in(PHONE), InvalidCredentials)
    applied = await visitor.types(await visitor.code(PHONE))
    assert isinstance(applied, Applied)
    assert [contact.masked for contact in (await visitor.holdings()).contacts] == ["a***@example.org", "+1415***0123"]
    assert isinstance(await Visitor(home).signs_in(PHONE), CodeRequested)


async def test_a_change_needs_a_proof_for_this_very_act(home: Place) -> None:
    """A1, U2: a fresh sign-in is not enough, and an approval of one contact is worth nothing for another."""
    visitor = await ada(home)
    session = await visitor.session()
    assert session is not None
    good = ChangeRequest(ChangeKind.CONTACT_ADDED, about="+1415***0123", summary="Add it", contact=parse_contact(PHONE))
    bad = ChangeRequest(ChangeKind.CONTACT_ADDED, about="+1415***0123", summary="Add it", contact=parse_contact(OTHER))
    need = await submit_change(home.accounts, visitor.browser, session, good)
    assert isinstance(need, ProofRequirement)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code()), SignedIn)
    session = await visitor.session()
    assert session is not None
    assert isinstance(await submit_change(home.accounts, visitor.browser, session, bad), ProofRequirement)
    # One approval makes one change, once, also when it is asked for twice at the same time.
    twice = await asyncio.gather(*(submit_change(home.accounts, visitor.browser, session, good) for _ in range(2)))
    assert sorted(type(one).__name__ for one in twice) == ["CodeRequested", "ProofRequirement"]


async def test_the_contact_that_goes_does_not_approve_where_there_is_another(home: Place) -> None:
    """A1: the code of a replacement goes to the other contact; with one contact alone it goes there."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    mail = await visitor.contact(ADA)
    wanted = ChangeRequest(
        ChangeKind.CONTACT_REPLACED, mail.id, "a***@elsewhere.example", "Replace it", parse_contact(NEW)
    )
    need = requirement_of(home.accounts, wanted, await visitor.holdings())
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    seen = await visitor.sees()
    assert seen is not None
    assert {way.masked for way in seen.contact_methods} == {"+1415***0123"}
    assert isinstance(await visitor.types(await visitor.code(PHONE)), SignedIn)
    session = await visitor.session()
    assert session is not None
    asked = await submit_change(home.accounts, visitor.browser, session, wanted)
    assert isinstance(visitor._kept(asked), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(NEW)), Applied)
    assert isinstance(await Visitor(home).signs_in(ADA), InvalidCredentials)
    assert isinstance(await Visitor(home).signs_in(NEW), CodeRequested)


async def test_the_old_contact_is_told_and_undoes_it(home: Place) -> None:
    """A2, S6: told when asked and when done; within 7 days its word brings everything back and closes the account."""
    visitor = await ada(home)
    before = await visitor.contact(ADA)
    assert isinstance(await visitor.adds(NEW, replaces=before.id), Applied)
    await visitor.told("A new contact was asked for in your account")
    reference = await visitor.told("A contact of your account was replaced")
    # The new contact is not asked whether it was itself.
    assert not [one for one in home.carriers[CARRIER].sent if one.to == NEW and "was replaced" in one.text]
    home.clock.forward(6 * DAY)
    outcome = await report_change(home.accounts, BrowserContext(), reference)
    assert outcome is not None
    assert outcome.undone == 1
    assert await visitor.session() is None
    assert isinstance(await Visitor(home).signs_in(ADA), InvalidCredentials)
    owner = Visitor(home)
    assert isinstance(await owner.recovers(ADA), CodeRequested)
    await owner.types(await owner.code(ADA))
    assert isinstance(await owner.chooses("a better battery staple"), Applied)
    assert isinstance(await owner.signs_in(ADA, "a better battery staple"), CodeRequested)
    assert isinstance(await Visitor(home).signs_in(NEW, "a better battery staple"), InvalidCredentials)


async def test_undoing_ends_with_the_seventh_day(home: Place) -> None:
    """A2."""
    visitor = await ada(home)
    mail = await visitor.contact(ADA)
    await visitor.adds(NEW, replaces=mail.id)
    reference = await visitor.told("A contact of your account was replaced")
    home.clock.forward(7 * DAY)
    assert await report_change(home.accounts, BrowserContext(), reference) is None


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


async def test_a_pending_change_dies_with_its_session_and_is_canceled_from_another(home: Place) -> None:
    """A3."""
    visitor = await ada(home)
    phone = Visitor(home)
    await phone.is_let_in()
    wanted = ChangeRequest(
        ChangeKind.CONTACT_ADDED, about="+1415***0123", summary="Add it", contact=parse_contact(PHONE)
    )
    assert isinstance(await visitor.changes(wanted), CodeRequested)
    code = await visitor.code(PHONE)
    session = await phone.session()
    assert session is not None
    (pending,) = await home.database.read(changes.list_open, session.account, home.clock())
    await end_others(home.accounts, session)
    assert await visitor.types(code) is ChangeRefusal.NOT_PENDING

    assert isinstance(await phone.changes(wanted), CodeRequested)
    code = await phone.code(PHONE)
    open_ = [
        one
        for one in await home.database.read(changes.list_open, session.account, home.clock())
        if one.id != pending.id
    ]
    assert isinstance(await cancel_change(home.accounts, phone.browser, session.account, open_[0].id), Applied)
    assert await phone.types(code) is ChangeRefusal.NOT_PENDING
    assert [contact.masked for contact in (await phone.holdings()).contacts] == ["a***@example.org"]


async def test_the_last_contact_stays(home: Place) -> None:
    """A4: also where the two last ones are removed at the same time."""
    visitor = await ada(home)
    mail = await visitor.contact(ADA)
    assert await visitor.changes(remove(mail.id)) is ChangeRefusal.LAST_CONTACT
    await visitor.adds(PHONE)
    phone = await visitor.contact(PHONE)
    session = await visitor.session()
    assert session is not None
    both = [wanted.for_session(session) for wanted in (remove(mail.id), remove(phone.id, "+1415***0123"))]
    done = await asyncio.gather(*(apply_change(home.accounts, visitor.browser, one) for one in both))
    assert sorted(type(one).__name__ for one in done) == ["Applied", "ChangeRefusal"]
    assert len((await visitor.holdings()).contacts) == 1


async def test_a_removed_contact_neither_signs_in_nor_gets_codes_and_can_come_back(home: Place) -> None:
    """A4, A2: from the page too, after a step-up for this very act."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    mail = await visitor.contact(ADA)
    removed = await visitor.changes(remove(mail.id), PHONE)
    assert isinstance(removed, Applied)
    assert isinstance(await Visitor(home).signs_in(ADA), InvalidCredentials)
    assert (await visitor.contact(PHONE)).primary
    session = await visitor.session()
    assert session is not None
    need = await undo_change(home.accounts, visitor.browser, session, removed.change.id, "Undo it")
    assert isinstance(need, ProofRequirement)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    await visitor.types(await visitor.code(PHONE))
    session = await visitor.session()
    assert session is not None
    assert isinstance(await undo_change(home.accounts, visitor.browser, session, removed.change.id, "Undo it"), Applied)
    assert (await visitor.contact(ADA)).primary
    assert not (await visitor.contact(PHONE)).primary
    assert isinstance(await Visitor(home).signs_in(ADA), CodeRequested)
    assert (
        await undo_change(home.accounts, visitor.browser, session, removed.change.id, "Undo it")
        is ChangeRefusal.NOT_PENDING
    )


async def test_the_other_contact_becomes_the_first(home: Place) -> None:
    visitor = await ada(home)
    await visitor.adds(PHONE)
    phone = await visitor.contact(PHONE)
    wanted = ChangeRequest(ChangeKind.CONTACT_PRIMARY, phone.id, "+1415***0123", "Make it the first")
    assert isinstance(await visitor.changes(wanted), Applied)
    other = Visitor(home)
    assert isinstance(await other.signs_in(), CodeRequested)
    assert await other.code(PHONE)


async def test_a_password_change_ends_everything_else(home: Place) -> None:
    """A5, S4: other sessions, all trust, what is pending and every flow that began before."""
    visitor = await ada(home)
    other = Visitor(home)
    await other.is_let_in(remember=True)
    waiting = Visitor(home)
    assert isinstance(await waiting.signs_in(), CodeRequested)
    code = await waiting.code()
    wanted = ChangeRequest(
        ChangeKind.CONTACT_ADDED, about="+1415***0123", summary="Add it", contact=parse_contact(PHONE)
    )
    assert isinstance(await other.changes(wanted), CodeRequested)
    home.clock.forward(61_000)
    hashed = await home.accounts.passwords.hash("a better battery staple")
    assert isinstance(
        await visitor.changes(ChangeRequest(ChangeKind.PASSWORD_CHANGED, summary="Change it", password=hashed)), Applied
    )
    assert await visitor.session() is not None
    assert await other.session() is None
    assert isinstance(await waiting.types(code), FlowNotFound)
    assert isinstance(await other.signs_in(), InvalidCredentials)
    assert isinstance(await other.signs_in(password="a better battery staple"), CodeRequested)
    await visitor.told("The password of your account was changed")
    session = await visitor.session()
    assert session is not None
    left = await home.database.read(changes.list_open, session.account, home.clock())
    assert [one.kind for one in left] == [ChangeKind.PASSWORD_CHANGED]
    assert not left[0].is_undoable(home.clock())


async def test_contacts_are_one_however_they_are_typed(home: Place) -> None:
    """A6."""
    visitor = await ada(home)
    again = ChangeRequest(
        ChangeKind.CONTACT_ADDED, about="a", summary="Add it", contact=parse_contact("ADA@Example.ORG")
    )
    assert await visitor.changes(again) is ChangeRefusal.ALREADY_YOURS


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


async def test_two_changes_of_the_same_contact_are_made_one_after_the_other(home: Place) -> None:
    """A2: undo against apply: whichever comes first, the account ends as one of the two left it, with a contact."""
    visitor = await ada(home)
    mail = await visitor.contact(ADA)
    replaced = await visitor.adds(NEW, replaces=mail.id)
    assert isinstance(replaced, Applied)
    home.clock.forward(60_000)
    await visitor.adds(PHONE, NEW)
    home.clock.forward(60_000)
    reference = await visitor.told("A contact of your account was replaced")
    new = await visitor.contact(NEW)
    wanted = remove(new.id, new.masked)
    need = requirement_of(home.accounts, wanted, await visitor.holdings())
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    await visitor.types(await visitor.code(PHONE))
    session = await visitor.session()
    assert session is not None
    await asyncio.gather(
        submit_change(home.accounts, visitor.browser, session, wanted),
        report_change(home.accounts, BrowserContext(), reference),
    )
    contacts = await home.database.read(accounts.list_contacts, session.account)
    assert [contact.masked for contact in contacts] == ["a***@example.org"]
    assert [contact.primary for contact in contacts] == [True]
