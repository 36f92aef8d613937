"""The page at /account/contacts: adds, replaces, removes and orders contacts, and asks once a year whether they still apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.change import DAY, ChangeKind, ChangeRequest
from countersign.domain.accounts.contact_names import whole_requirement
from countersign.domain.accounts.login_flow import InterruptedRequest, LoginFlowKind
from countersign.domain.shared.contact import LANDLINE, read_contact
from countersign.errors import InputError
from countersign.flows.accounts.contact_names import contact_names
from countersign.flows.accounts.request_code import channels_of
from countersign.flows.accounts.sessions import check_contacts, overview
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.name_contacts import contact_request
from countersign.web.http.browser import language_of
from countersign.web.pages.shared.account_layout import show_part, when
from countersign.web.pages.shared.flash import redirect_with, take_flash
from countersign.web.pages.shared.wordings import fault_of_contact

if TYPE_CHECKING:
    from countersign.domain.accounts.session import Session
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.change_form import ChangeForms, Submission
    from countersign.web.pages.shared.session_guard import SessionGuard

PATH: Final = "/account/contacts"
CHECK_EVERY: Final = 365 * DAY
"""Milliseconds after which a person is asked whether the contacts still apply."""


class ContactsPage:
    """The contacts, and the forms that change them."""

    def __init__(self, web: WebContext, guard: SessionGuard, forms: ChangeForms) -> None:
        self._web = web
        self._guard = guard
        self._forms = forms

    async def get(self, req: Request, resp: Response) -> None:
        """Show the page to a signed-in person."""
        session = await self._guard.session(req, resp, InterruptedRequest("GET", PATH))
        if session is not None:
            await self._show(req, resp, session)

    async def _show(self, req: Request, resp: Response, session: Session) -> None:
        found = await overview(self._web.accounts, session)
        if found is None:
            resp.redirect("/sign-in")
            return
        language, now = language_of(req), self._web.accounts.now()
        names = await contact_names(self._web.accounts, session)
        said = take_flash(self._web, req, resp, PATH)
        show_part(
            self._web,
            req,
            resp,
            "contacts.html",
            PATH,
            contacts=[
                {
                    "id": contact.id,
                    "kind": contact.kind.value,
                    "shown": names.of(contact.id),
                    "primary": contact.primary,
                    "added": when(contact.added_at, language),
                    "settles": when(contact.settled_at, language) if now < contact.settled_at else "",
                }
                for contact in found.contacts
            ],
            whole=names.whole,
            check=now - found.checked_at > CHECK_EVERY,
            fault=fault_of_contact(said["fault"], language) if "fault" in said else "",
            typed=said.get("contact", ""),
            replaces=said.get("replaces", ""),
        )

    async def confirm(self, form: Submission) -> None:
        """Record that the person confirmed the contacts."""
        await check_contacts(self._web.accounts, form.session)
        form.resp.redirect(f"{PATH}?done=checked")

    async def add(self, form: Submission) -> None:
        """Request a new contact, or one in the place of another."""
        typed = form.fields.get("contact", "")
        try:
            contact = read_contact(typed, form.browser.regions)
            if not channels_of(self._web.accounts, contact, LoginFlowKind.BIND_CONTACT.purpose):
                raise InputError("to", LANDLINE if contact.is_landline else "unusable", "It cannot be reached.")
        except InputError as error:
            said = {"fault": error.reason, "contact": typed, "replaces": form.fields.get("replaces", "")}
            redirect_with(self._web, form.resp, PATH, said)
            return
        which = form.fields.get("replaces", "")
        kind = ChangeKind.CONTACT_REPLACED if which else ChangeKind.CONTACT_ADDED
        await self._change(
            form, await contact_request(self._web.accounts, form.session, form.act_language, kind, which, contact)
        )

    async def make_primary(self, form: Submission) -> None:
        """Request that codes go to a contact first."""
        await self._change_old(form, ChangeKind.CONTACT_PRIMARY)

    async def remove(self, form: Submission) -> None:
        """Request the removal of a contact."""
        await self._change_old(form, ChangeKind.CONTACT_REMOVED)

    async def show_whole(self, form: Submission) -> None:
        """Ask for the proof after which contacts are shown whole, and show them (semantics A10)."""
        snapshot = await self._web.database.read(find_snapshot, form.session.account)
        needed = whole_requirement(strong=snapshot is not None and snapshot.strong)
        if await self._guard.admits(form.req, form.resp, form.session, needed, form.then):
            form.resp.redirect(PATH)

    async def _change_old(self, form: Submission, kind: ChangeKind) -> None:
        which = form.fields.get("contact", "")
        await self._change(
            form, await contact_request(self._web.accounts, form.session, form.act_language, kind, which)
        )

    async def _change(self, form: Submission, wanted: ChangeRequest) -> None:
        if await self._forms.submit(form, wanted) is not None:
            form.resp.redirect(f"{PATH}?done={wanted.kind.value}")
