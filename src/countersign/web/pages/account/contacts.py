"""The part at /account/contacts: add one, replace one, say which comes first, remove one, and say once a year that they are still yours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon

from countersign.domain.accounts.change import DAY, ChangeKind
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.shared.contact import Contact, parse_contact
from countersign.errors import InputError
from countersign.flows.accounts.sessions import check_contacts, overview
from countersign.flows.changes.request import ChangeRequest
from countersign.web.http.forms import fields_of, spoken
from countersign.web.pages.account.account_layout import carry_out, show_part, when
from countersign.web.pages.sign_in.sign_up import fault_of_contact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request, Response

    from countersign.domain.accounts.session import Session
    from countersign.flows.accounts.context import BrowserContext
    from countersign.web.pages.continue_flow import Act, Onward

PATH: Final = "/account/contacts"
CHECK_EVERY: Final = 365 * DAY
"""Milliseconds after which a person is asked whether the contacts are still theirs."""


class ContactsPage:
    """GET shows the contacts; POST adds or replaces one, and to addresses below makes one the first, removes one, or confirms them all."""

    def __init__(self, onward: Onward) -> None:
        self._onward = onward
        self._door = onward.door

    async def on_get(self, req: Request, resp: Response) -> None:
        """Show them to who is signed in."""
        session = await self._door.session(req, resp, InterruptedRequest("GET", PATH))
        if session is not None:
            await self._show(req, resp, session)

    on_head = on_get

    async def _show(self, req: Request, resp: Response, session: Session, *, fault: str = "", typed: str = "") -> None:
        found = await overview(self._door.accounts, session)
        if found is None:
            self._door.see(resp, "/sign-in")
            return
        language, now = spoken(req), self._door.accounts.now()
        show_part(
            self._door,
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
            fault=fault,
            typed=typed,
        )

    async def on_post(self, req: Request, resp: Response) -> None:
        """Add a contact, or put it in another's place."""
        await self._posted(req, resp, PATH, self.add)

    async def on_post_primary(self, req: Request, resp: Response) -> None:
        """Make a contact the first."""
        await self._posted(req, resp, f"{PATH}/primary", self.make_primary)

    async def on_post_remove(self, req: Request, resp: Response) -> None:
        """Remove a contact."""
        await self._posted(req, resp, f"{PATH}/remove", self.remove)

    async def on_post_checked(self, req: Request, resp: Response) -> None:
        """Take the person's word that the contacts are theirs."""
        await fields_of(req)
        session = await self._door.session(req, resp, InterruptedRequest("GET", PATH))
        if session is not None:
            await check_contacts(self._door.accounts, session)
            self._door.see(resp, f"{PATH}?done=checked")

    async def _posted(self, req: Request, resp: Response, path: str, act: Act) -> None:
        fields = await fields_of(req)
        session = await self._door.session(req, resp, InterruptedRequest("POST", path, tuple(fields.items())))
        if session is not None:
            await act(req, resp, self._door.browser(req), session, fields)

    async def add(
        self, req: Request, resp: Response, browser: BrowserContext, session: Session, fields: Mapping[str, str]
    ) -> None:
        """Ask for the change."""
        language, typed = spoken(req), fields.get("contact", "")
        try:
            contact: Contact = parse_contact(typed)
        except InputError as error:
            resp.status = falcon.HTTP_422
            await self._show(req, resp, session, fault=fault_of_contact(error.reason, language), typed=typed)
            return
        which = fields.get("replaces", "")
        if which:
            before = await self._masked(session, which)
            summary = language.say("Replace {before} by {contact}", before=before, contact=contact.masked)
        else:
            summary = language.say("Add {contact} to your account", contact=contact.masked)
        kind = ChangeKind.CONTACT_REPLACED if which else ChangeKind.CONTACT_ADDED
        wanted = ChangeRequest(kind, which, contact.masked, summary, contact)
        await self._change(req, resp, browser, session, wanted, InterruptedRequest("POST", PATH, tuple(fields.items())))

    async def make_primary(
        self, req: Request, resp: Response, browser: BrowserContext, session: Session, fields: Mapping[str, str]
    ) -> None:
        """Ask for the change."""
        which = fields.get("contact", "")
        masked = await self._masked(session, which)
        summary = spoken(req).say("Send codes to {contact} first", contact=masked)
        wanted = ChangeRequest(ChangeKind.CONTACT_PRIMARY, which, masked, summary)
        then = InterruptedRequest("POST", f"{PATH}/primary", tuple(fields.items()))
        await self._change(req, resp, browser, session, wanted, then)

    async def remove(
        self, req: Request, resp: Response, browser: BrowserContext, session: Session, fields: Mapping[str, str]
    ) -> None:
        """Ask for the change."""
        which = fields.get("contact", "")
        masked = await self._masked(session, which)
        summary = spoken(req).say("Remove {contact} from your account", contact=masked)
        wanted = ChangeRequest(ChangeKind.CONTACT_REMOVED, which, masked, summary)
        then = InterruptedRequest("POST", f"{PATH}/remove", tuple(fields.items()))
        await self._change(req, resp, browser, session, wanted, then)

    async def _change(
        self,
        req: Request,
        resp: Response,
        browser: BrowserContext,
        session: Session,
        wanted: ChangeRequest,
        then: InterruptedRequest,
    ) -> None:
        if await carry_out(self._onward, req, resp, browser, session, wanted, then) is not None:
            self._door.see(resp, f"{PATH}?done={wanted.kind.value}")

    async def _masked(self, session: Session, which: str) -> str:
        found = await overview(self._door.accounts, session)
        return next((one.masked for one in (found.contacts if found else ()) if one.id == which), "")
