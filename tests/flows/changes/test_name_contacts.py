"""What is approved, sent and stored of a changed contact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.flows.people import Visitor, ada, alive

from countersign.domain.accounts.change import ChangeKind
from countersign.domain.accounts.session import ProofRequirement
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import CodeRequested, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.name_contacts import contact_request, undo_summary
from countersign.flows.changes.submit import submit_change
from countersign.messages.channels.sms_size import segments
from countersign.messages.language.catalogue import negotiate
from countersign.store.engine.database import Rows, Sql
from countersign.store.tables import changes

if TYPE_CHECKING:
    from tests.flows.place import Place

PHONE = "+14155550123"
JOANNA = "joanna57@example.org"


async def replaces(owner: Visitor, old: str, new: str) -> CodeRequested | object:
    """Ask for a contact in the place of another, up to the message that asks for the approval."""
    session = await alive(owner)
    target = (await owner.contact(old)).id
    request = await contact_request(
        owner.place.accounts, session, negotiate("en"), ChangeKind.CONTACT_REPLACED, target, parse_contact(new)
    )
    outcome = await submit_change(owner.place.accounts, owner.browser, session, request)
    if not isinstance(outcome, ProofRequirement):
        return owner._kept(outcome)
    return await owner.steps_up(outcome)


@pytest.mark.parametrize("new", ["joanna.new@example.org", "j#oanna57@example.org", "joanna57@www.example.org"])
async def test_the_new_contact_is_named_whole_and_the_old_one_so_that_it_differs(home: Place, new: str) -> None:
    """A10: on the page, in an SMS of one segment, in the mails, and to the letter: `www.` and `#` are part of an address."""
    owner = await ada(home, JOANNA)
    await owner.adds(PHONE, JOANNA)
    assert isinstance(await replaces(owner, JOANNA, new), CodeRequested)
    seen = await owner.sees()
    assert seen is not None
    summary = f"Replace jo…57@example.org with {new}"
    assert seen.flow.requirement.action.summary == summary
    sms = await owner.reads(PHONE)
    assert summary.replace("…", "...") in sms.text
    assert segments(sms.text).segments == 1
    assert isinstance(await owner.types(await owner.code(PHONE)), SignedIn)
    assert isinstance(await replaces(owner, JOANNA, new), CodeRequested)
    assert await owner.told(new, JOANNA)
    assert isinstance(await owner.types(await owner.code(new)), Applied)
    assert await owner.told(f"Codes now go to \u2066{new}", JOANNA)


async def test_a_stolen_database_names_no_contact_that_is_approved(home: Place) -> None:
    """A10: summaries and notices are stored masked, with the whole contact sealed."""
    owner = await ada(home, JOANNA)
    assert isinstance(await replaces(owner, JOANNA, "secret.name@example.org"), CodeRequested)
    assert isinstance(await owner.types(await owner.code(JOANNA)), SignedIn)
    assert isinstance(await replaces(owner, JOANNA, "secret.name@example.org"), CodeRequested)
    for table, column in (("challenges", "terms"), ("notices", "facts"), ("changes", "about"), ("activity", "facts")):

        async def stored(table: str = table, column: str = column) -> Rows:
            return await Sql(f"SELECT {column} FROM {table}")  # noqa: S608 - names of this file

        rows = await home.rows.read(stored)
        assert rows
        assert not any(b"secret.name" in (value if isinstance(value, bytes) else value.encode()) for (value,) in rows)


async def test_an_undo_names_the_contact_too(home: Place) -> None:
    """A10: the summary is the same before and after the proof."""
    owner = await ada(home, JOANNA)
    assert isinstance(await owner.adds("second@example.net", JOANNA), Applied)
    session = await alive(owner)
    (change,) = await home.database.read(changes.list_since, session.account, 0, 10)
    summary, masked = await undo_summary(home.accounts, session, change, negotiate("en"))
    assert "se…nd@example.net" in summary
    assert "s***@example.net" in masked
    assert await undo_summary(home.accounts, session, None, negotiate("en")) == ("", "")
