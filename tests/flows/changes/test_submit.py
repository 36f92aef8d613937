"""Submitting a change: it is approved for itself, and a new contact is proved before it counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.flows.people import Visitor, ada

from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, ChangeRequest
from countersign.domain.accounts.session import ProofRequirement
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import CodeRequested, InvalidCredentials, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.submit import submit_change

if TYPE_CHECKING:
    from tests.flows.place import Place

PHONE = "+14155550123"
OTHER = "+14155550177"


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


async def test_contacts_are_one_however_they_are_typed(home: Place) -> None:
    """A6."""
    visitor = await ada(home)
    again = ChangeRequest(
        ChangeKind.CONTACT_ADDED, about="a", summary="Add it", contact=parse_contact("ADA@Example.ORG")
    )
    assert await visitor.changes(again) is ChangeRefusal.ALREADY_YOURS
