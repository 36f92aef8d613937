"""What a person reads of their account's recent life: what happened, and which messages were really sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import ADA, Visitor, ada

from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import EventKind
from countersign.flows.accounts.activity import recent
from countersign.flows.accounts.context import BrowserContext, CodeRequested
from countersign.flows.accounts.sessions import end_others
from countersign.flows.changes.apply import Applied
from countersign.messages.language.catalogue import negotiate
from countersign.web.pages.account.activity import words

if TYPE_CHECKING:
    from tests.flows.place import Place

PHONE = "+14155550123"


async def test_it_tells_what_happened_where_and_what_was_sent(home: Place) -> None:
    """D6: codes and notices, each with how far it is; of nobody else's."""
    visitor = await ada(home)
    other = Visitor(home, BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en"))
    home.clock.forward(1)
    await other.is_let_in(remember=True)
    home.clock.forward(1)
    await visitor.adds(PHONE)
    session = await visitor.session()
    assert session is not None
    await end_others(home.accounts, session)
    while await home.deliver():
        pass
    stranger = await ada(home, "grace@example.org")
    assert isinstance(await Visitor(home).signs_in("grace@example.org"), CodeRequested)
    theirs = await stranger.session()
    assert theirs is not None
    happened, sent = await recent(home.accounts, session.account, 50)
    assert {one.kind for one in happened} == {
        EventKind.ACCOUNT_CREATED,
        EventKind.DEVICE_ADDED,
        EventKind.SIGN_IN_COMPLETED,
        EventKind.DEVICE_TRUSTED,
        EventKind.SESSION_RAISED,
        EventKind.CHANGE_ASKED,
        EventKind.CHANGE_APPLIED,
        EventKind.SESSION_ENDED,
    }
    assert all(words(one, negotiate("en")) for one in happened)
    assert [one.at for one in happened] == sorted((one.at for one in happened), reverse=True)
    assert {one.facts.get("user_agent") for one in happened if one.kind is EventKind.SIGN_IN_COMPLETED} == {"Safari"}
    assert {(one.what, one.to, one.state.value) for one in sent} == {
        ("sign_up", "a***@example.org", "accepted"),
        ("sign_in", "a***@example.org", "accepted"),
        (NoticeKind.NEW_DEVICE.value, "a***@example.org", "accepted"),
        ("step_up", "a***@example.org", "accepted"),
        ("bind_contact", "+1415***0123", "accepted"),
        (NoticeKind.CONTACT_ASKED.value, "a***@example.org", "accepted"),
        (NoticeKind.CONTACT_ADDED.value, "a***@example.org", "accepted"),
    }
    _, to_grace = await recent(home.accounts, theirs.account, 50)
    assert {one.to for one in to_grace} == {"g***@example.org"}


async def test_a_code_that_is_sent_again_is_another_message(home: Place) -> None:
    visitor = await ada(home)
    other = Visitor(home)
    assert isinstance(await other.signs_in(), CodeRequested)
    await other.code(ADA)
    home.clock.forward(31_000)
    await other.asks_again()
    session = await visitor.session()
    assert session is not None
    _, sent = await recent(home.accounts, session.account, 50)
    of_sign_in = [(one.what, one.state.value) for one in sent if one.what == "sign_in"]
    assert of_sign_in == [("sign_in", "queued"), ("sign_in", "accepted")]


async def test_an_entry_of_a_kind_that_only_a_newer_release_knows_is_left_out(home: Place) -> None:
    visitor = await ada(home)
    session = await visitor.session()
    assert session is not None
    before, _ = await recent(home.accounts, session.account, 50)
    await home.change("UPDATE activity SET kind = 'session.moved' WHERE kind = $1", EventKind.ACCOUNT_CREATED.value)
    after, _ = await recent(home.accounts, session.account, 50)
    assert after == [one for one in before if one.kind is not EventKind.ACCOUNT_CREATED]
    assert len(after) < len(before)


async def test_what_was_sent_before_the_account_existed_is_listed_for_whoever_proves_the_contact(home: Place) -> None:
    """A10: a code that was asked for again, in another browser too; and a try of a stranger at an account that is there."""
    first, second = Visitor(home), Visitor(home)
    assert isinstance(await first.signs_up(), CodeRequested)
    await first.code(ADA)
    assert isinstance(await second.recovers(), CodeRequested)
    home.clock.forward(1)
    owner = await ada(home)
    home.clock.forward(1)
    stranger = Visitor(home)
    assert isinstance(await stranger.signs_up(), CodeRequested)
    session = await owner.session()
    assert session is not None
    _, sent = await recent(home.accounts, session.account, 50)
    assert sorted(one.what for one in sent) == ["recover_unknown", "sign_up", "sign_up", "sign_up_known"]


async def test_nothing_of_another_account_that_had_the_contact_is_listed(home: Place) -> None:
    """A10: neither its sign-up, nor its codes, though the contact is the same."""
    phone = "+14155550123"
    before = await ada(home, phone)
    await before.adds("first@example.net", phone)
    contact = await before.contact(phone)
    removal = ChangeRequest(ChangeKind.CONTACT_REMOVED, contact.id, contact.masked, "x")
    assert isinstance(await before.changes(removal, "first@example.net"), Applied)
    home.clock.forward(1)
    later = await ada(home)
    await later.adds(phone)
    session = await later.session()
    assert session is not None
    _, sent = await recent(home.accounts, session.account, 50)
    assert [one.what for one in sent if one.to == contact.masked] == ["bind_contact"]
