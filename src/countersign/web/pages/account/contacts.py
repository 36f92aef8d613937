"""The page at /account/contacts: adds, replaces, removes and orders contacts, and asks once a year whether they still apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.change import DAY, ChangeKind, ChangeRequest
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.shared.contact import parse_contact
from countersign.errors import InputError
from countersign.flows.accounts.sessions import check_contacts, overview
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
                    "masked": contact.masked,
                    "primary": contact.primary,
                    "added": when(contact.added_at, language),
                    "settles": when(contact.settled_at, language) if now < contact.settled_at else "",
                }
                for contact in found.contacts
            ],
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
            contact = parse_contact(typed)
        except InputError as error:
            said = {"fault": error.reason, "contact": typed, "replaces": form.fields.get("replaces", "")}
            redirect_with(self._web, form.resp, PATH, said)
            return
        which = form.fields.get("replaces", "")
        if which:
            before = await self._masked(form.session, which)
            summary = form.act_language.say("Replace {before} by {contact}", before=before, contact=contact.masked)
        else:
            summary = form.act_language.say("Add {contact} to your account", contact=contact.masked)
        kind = ChangeKind.CONTACT_REPLACED if which else ChangeKind.CONTACT_ADDED
        await self._change(form, ChangeRequest(kind, which, contact.masked, summary, contact))

    async def make_primary(self, form: Submission) -> None:
        """Request that codes go to a contact first."""
        which = form.fields.get("contact", "")
        masked = await self._masked(form.session, which)
        summary = form.act_language.say("Send codes to {contact} first", contact=masked)
        await self._change(form, ChangeRequest(ChangeKind.CONTACT_PRIMARY, which, masked, summary))

    async def remove(self, form: Submission) -> None:
        """Request the removal of a contact."""
        which = form.fields.get("contact", "")
        masked = await self._masked(form.session, which)
        summary = form.act_language.say("Remove {contact} from your account", contact=masked)
        await self._change(form, ChangeRequest(ChangeKind.CONTACT_REMOVED, which, masked, summary))

    async def _change(self, form: Submission, wanted: ChangeRequest) -> None:
        if await self._forms.submit(form, wanted) is not None:
            form.resp.redirect(f"{PATH}?done={wanted.kind.value}")

    async def _masked(self, session: Session, which: str) -> str:
        found = await overview(self._web.accounts, session)
        return next((one.masked for one in (found.contacts if found else ()) if one.id == which), "")
