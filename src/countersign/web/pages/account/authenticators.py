"""The page at /account/methods: lists, adds and removes passkeys, authenticator apps and recovery codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import markupsafe

from countersign.domain.accounts.authenticator import STRONG_KINDS, AuthenticatorKind
from countersign.domain.accounts.authenticator_label import authenticator_label, labelling_contact
from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, ChangeRequest
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.verifications.code import CodeShape
from countersign.flows.accounts.authenticator import InvalidCode, MalformedCode
from countersign.flows.accounts.contact_names import opened
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.enrol import authenticator_name, begin_app, draft_app, finish_app
from countersign.flows.changes.keep_codes import CodesToKeep
from countersign.flows.sign_in.authenticator import FEW_RECOVERY_CODES
from countersign.flows.sign_in.check_up import losses_of
from countersign.totp import DIGITS, address, picture, shown
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import drop_flow, keep_flow
from countersign.web.pages.account.check_up import told
from countersign.web.pages.shared.account_layout import show_part, when
from countersign.web.pages.shared.flash import redirect_with, take_flash
from countersign.web.pages.shared.flow_mark import flow_query, in_flow, is_of_other_flow, show_other_flow
from countersign.web.pages.shared.word_pages import show_change_refusal, show_no_flow
from countersign.web.pages.shared.wordings import fault_of_code

if TYPE_CHECKING:
    from countersign.domain.accounts.session import Session
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.change_form import ChangeForms, Submission
    from countersign.web.pages.shared.session_guard import SessionGuard

PATH: Final = "/account/methods"


class AuthenticatorsPage:
    """The list, and the forms for setting up an app and for removing a passkey or an app."""

    def __init__(self, web: WebContext, guard: SessionGuard, forms: ChangeForms) -> None:
        self._web = web
        self._guard = guard
        self._forms = forms

    async def get(self, req: Request, resp: Response) -> None:
        """Show the page to a signed-in person."""
        session = await self._guard.session(req, resp, InterruptedRequest("GET", PATH))
        if session is None:
            return
        snapshot = await self._web.database.read(find_snapshot, session.account)
        if snapshot is None:
            resp.redirect("/sign-in")
            return
        language, unseal = language_of(req), self._web.keyring.unseal
        show_part(
            self._web,
            req,
            resp,
            "methods.html",
            PATH,
            methods=[
                {
                    "id": one.id,
                    "kind": one.kind.value,
                    "name": unseal(one.name, one.id),
                    "added": when(one.added_at, language),
                    "used": when(one.last_used_at, language) if one.last_used_at else "",
                }
                for one in snapshot.authenticators
                if one.kind in STRONG_KINDS
            ],
            left=snapshot.recovery_codes,
            few=snapshot.recovery_codes < FEW_RECOVERY_CODES,
            unkept=any(one.unkept for one in snapshot.authenticators),
            closes=not snapshot.strong,
            needs_codes=snapshot.keeps_codes_first,
            losses=[told(one, language) for one in await losses_of(self._web.accounts, session.account)],
            has_passkey=any(one.kind is AuthenticatorKind.PASSKEY for one in snapshot.authenticators),
        )

    async def begin_app(self, form: Submission) -> None:
        """Ask for a proof, then show the set-up of the app."""
        name = form.fields.get("name", "")
        summary = form.act_language.say("Add the authenticator app “{name}”", name=authenticator_name(name))
        begun = await begin_app(self._web.accounts, form.browser, form.session, name, summary)
        if isinstance(begun, CodeRequested):
            keep_flow(form.req, form.resp, begun)
            form.resp.redirect(f"{PATH}/app")
        else:
            await self._forms.settle(form, begun)

    async def get_app(self, req: Request, resp: Response) -> None:
        """Show the QR code, and ask for the first code."""
        session = await self._guard.session(req, resp, InterruptedRequest("GET", PATH))
        if session is not None:
            said, language = take_flash(self._web, req, resp, f"{PATH}/app"), language_of(req)
            fault = language.say(
                "This is not the right code. Check that your phone’s clock is right, then enter the next code."
            )
            if "shape_fault" in said:
                fault = fault_of_code(CodeShape(DIGITS), language)
            await self._show_app(req, resp, session, fault if said else "")

    async def _show_app(self, req: Request, resp: Response, session: Session, fault: str) -> None:
        accounts = self._web.accounts
        draft = await draft_app(accounts, self._web.browser(req), session)
        found = await self._web.database.read(find_snapshot, session.account)
        if draft is None or found is None:
            resp.redirect(f"{PATH}/recovery-codes")
            return
        labelling = labelling_contact(found.contacts)
        label = authenticator_label(opened(accounts, labelling) if labelling is not None else None)
        where = address(draft.secret, self._web.settings.site, label)
        show_part(
            self._web,
            req,
            resp,
            "app.html",
            PATH,
            picture=markupsafe.Markup(picture(where)),  # noqa: S704 - drawn here, of squares alone
            secret=shown(draft.secret),
            link=where,
            needs_codes=found.keeps_codes_first,
            fault=fault,
        )

    async def confirm_app(self, form: Submission) -> None:
        """Check the app's first code."""
        if is_of_other_flow(self._web, form.req, form.fields):
            show_other_flow(self._web, form.req, form.resp)
            return
        req, resp = form.req, form.resp
        browser = self._web.browser(req)
        outcome = await finish_app(self._web.accounts, browser, form.session, form.fields.get("code", ""))
        match outcome:
            case Applied(change):
                self._web.database.notify()
                drop_flow(req, resp, browser.flow)
                resp.redirect(f"{PATH}?done={change.kind.value}")
            case CodesToKeep():
                resp.redirect(in_flow(self._web, req, f"{PATH}/recovery-codes"))
            case MalformedCode():
                redirect_with(self._web, resp, f"{PATH}/app", {"shape_fault": "yes"}, flow_query(self._web, req)[1:])
            case InvalidCode():
                redirect_with(self._web, resp, f"{PATH}/app", {"wrong": "yes"}, flow_query(self._web, req)[1:])
            case ChangeRefusal():
                show_change_refusal(self._web, req, resp, outcome)
            case _:
                show_no_flow(self._web, req, resp)

    async def remove(self, form: Submission) -> None:
        """Remove a passkey or an app."""
        which, accounts = form.fields.get("method", ""), self._web.accounts
        snapshot = await accounts.database.read(find_snapshot, form.session.account)
        found = next((one for one in (snapshot.authenticators if snapshot else ()) if one.id == which), None)
        name = accounts.keyring.unseal(found.name, found.id) if found is not None and found.name else ""
        wanted = ChangeRequest(ChangeKind.METHOD_REMOVED, which, name, form.language.say("Remove “{name}”", name=name))
        if await self._forms.submit(form, wanted) is not None:
            form.resp.redirect(f"{PATH}?done={wanted.kind.value}")
