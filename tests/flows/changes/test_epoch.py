"""Raising the epoch of an account: what ends with the old one, and what the session that made the change keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.flows.people import ADA, Visitor, ada

from countersign.domain.accounts.change import ChangeKind, ChangeRequest, ChangeState
from countersign.domain.accounts.session import Level, Method, current_level
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.epoch import raise_epoch
from countersign.flows.changes.forget_browser import forget_browser
from countersign.store.engine.database import Write
from countersign.store.tables import accounts, changes, devices, sessions

if TYPE_CHECKING:
    from tests.flows.place import Place

PHONE = "+14155550123"


async def epoch_of(visitor: Visitor) -> int:
    session = await visitor.session()
    assert session is not None
    account = await visitor.place.database.read(accounts.find, session.account)
    assert account is not None
    return account.epoch


async def test_a_change_of_contacts_raises_it_and_forgetting_a_browser_does_not(home: Place) -> None:
    """A8."""
    owner = await ada(home)
    assert await epoch_of(owner) == 0
    assert isinstance(await owner.adds(PHONE), Applied)
    assert await epoch_of(owner) == 1
    session = await owner.session()
    assert session is not None
    (device,) = await home.database.read(devices.list_active, session.account)
    assert await forget_browser(home.accounts, session, device.id)
    account = await home.database.read(accounts.find, session.account)
    assert account is not None
    assert account.epoch == 1


async def test_trust_and_what_is_pending_end_with_it(home: Place) -> None:
    """A8, S4: the rows say so, not only what is let in."""
    owner = await ada(home)
    home.clock.forward(61_000)
    trusted = Visitor(home)
    await trusted.is_let_in(remember=True)
    home.clock.forward(61_000)
    evil = parse_contact("thief@evil.example")
    pending = await trusted.changes(ChangeRequest(ChangeKind.CONTACT_ADDED, "", evil.masked, "Add it", evil))
    assert isinstance(pending, CodeRequested)
    home.clock.forward(61_000)
    assert isinstance(await owner.adds(PHONE), Applied)
    session = await owner.session()
    assert session is not None
    known = await home.database.read(devices.list_active, session.account)
    assert [device.trusted_at for device in known] == [None] * len(known)
    listed = await home.database.read(changes.list_since, session.account, 0, 10)
    assert [change.state for change in listed] == [ChangeState.APPLIED, ChangeState.CANCELED]


@pytest.mark.parametrize("ends", [False, True])
async def test_the_session_that_made_the_change_keeps_its_proofs_but_those_by_what_has_ended(
    home: Place, *, ends: bool
) -> None:
    """P3."""
    owner = await ada(home)
    home.clock.forward(61_000)
    other = Visitor(home)
    await other.is_let_in()
    session = await other.session()
    mail = await other.contact(ADA)
    assert session is not None
    assert [proof.source for proof in session.proofs] == ["", mail.id]

    async def change() -> None:
        account = await accounts.lock(session.account)
        assert account is not None
        ended = frozenset([mail.id]) if ends else frozenset()
        raised = await raise_epoch(home.accounts, account, home.clock(), session=session.id, ended=ended)
        await Write(raised.rows, last=True)

    await home.database.run(change)
    after = await other.session()
    assert after is not None
    assert [proof.method for proof in after.proofs] == [Method.PASSWORD, *([] if ends else [Method.MAIL_CODE])]
    elsewhere = await owner.session()
    assert elsewhere is not None
    assert elsewhere.proofs == ()
    assert current_level(elsewhere, home.clock()) is Level.PASSWORD
    stored = await home.database.read(sessions.find_by_id, elsewhere.account, elsewhere.id, home.clock())
    assert stored is not None
    assert stored.proofs
