"""The proof that a change requires, and what is kept of a request while it is pending."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import ADA, Visitor, ada

from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import CodeRequested, InvalidCredentials, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.request import pending_request, requirement_of
from countersign.flows.changes.submit import submit_change
from countersign.store.tables import changes

if TYPE_CHECKING:
    from tests.flows.place import Place

NEW = "ada@elsewhere.example"
PHONE = "+14155550123"


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


async def test_a_pending_change_keeps_its_request_sealed_in_a_form_that_stays(home: Place) -> None:
    """What older and newer releases read of each other; nothing of it stands in the clear."""
    visitor = await ada(home)
    mail = await visitor.contact(ADA)
    request = ChangeRequest(
        ChangeKind.CONTACT_REPLACED, mail.id, "a***@elsewhere.example", "Replace it", parse_contact(NEW)
    )
    asked = await visitor.changes(request)
    assert isinstance(asked, CodeRequested)
    session = await visitor.session()
    assert session is not None
    (change,) = await home.database.read(changes.list_open, session.account, home.clock())
    assert NEW.encode() not in change.data
    assert home.accounts.keyring.unseal(change.data, change.id) == f'{{"which":"{mail.id}","to":"{NEW}"}}'
    read_back = pending_request(home.accounts, change)
    assert (read_back.kind, read_back.target, read_back.contact) == (request.kind, mail.id, request.contact)
    assert (read_back.account, read_back.session, read_back.pending) == (session.account, session.id, change.id)


async def test_what_is_approved_is_this_change_and_no_other(home: Place) -> None:
    """U2."""
    visitor = await ada(home)
    snapshot = await visitor.holdings()
    requests = [
        ChangeRequest(ChangeKind.CONTACT_ADDED, about="a", summary="Add it", contact=parse_contact(NEW)),
        ChangeRequest(ChangeKind.CONTACT_ADDED, about="a", summary="Add it", contact=parse_contact("eve@example.org")),
        ChangeRequest(ChangeKind.CONTACT_ADDED, about="b", summary="Add it", contact=parse_contact(NEW)),
        ChangeRequest(ChangeKind.CONTACT_REPLACED, snapshot.contacts[0].id, "a", "Add it", parse_contact(NEW)),
    ]
    needs = {requirement_of(home.accounts, one, snapshot).action_digest for one in requests}
    assert len(needs) == len(requests)
