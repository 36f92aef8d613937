"""The pages below /account/methods on which a browser creates a passkey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.flows.accounts.context import CodeRequested, InvalidCredentials
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.enrol import authenticator_name
from countersign.flows.changes.keep_codes import CodesToKeep
from countersign.flows.sign_in.passkeys import (
    begin_passkey_enrolment,
    finish_passkey_enrolment,
    passkey_enrolment_options,
)
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import drop_flow, keep_flow
from countersign.web.http.forms import fields_of, is_form
from countersign.web.http.problems import ProblemError
from countersign.web.http.response import JSON
from countersign.web.pages.shared.account_layout import show_part
from countersign.web.pages.shared.flash import redirect_with, take_flash
from countersign.web.pages.shared.flow_mark import flow_query, in_flow, is_of_other_flow, show_other_flow
from countersign.web.pages.shared.word_pages import show_change_refusal, show_no_flow

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.change_form import ChangeForms, Submission
    from countersign.web.pages.shared.session_guard import SessionGuard

METHODS: Final = "/account/methods"
PATH: Final = f"{METHODS}/passkey"


class EnrolPasskeyPage:
    """The form, the page on which the browser creates the passkey, and the two requests of that page."""

    def __init__(self, web: WebContext, guard: SessionGuard, forms: ChangeForms) -> None:
        self._web = web
        self._guard = guard
        self._forms = forms

    async def begin(self, form: Submission) -> None:
        """Ask for a proof, then lead to the page."""
        name = form.fields.get("name", "")
        summary = form.act_language.say("Add the passkey “{name}”", name=authenticator_name(name, "Passkey"))
        begun = await begin_passkey_enrolment(self._web.accounts, form.browser, form.session, name, summary)
        if isinstance(begun, CodeRequested):
            keep_flow(form.req, form.resp, begun)
            form.resp.redirect(PATH)
        else:
            await self._forms.settle(form, begun)

    async def get(self, req: Request, resp: Response) -> None:
        """Show the page."""
        said = take_flash(self._web, req, resp, PATH)
        fault = language_of(req).say("We could not add this passkey. Try again.")
        await self._show(req, resp, fault=fault if "wrong" in said else "")

    async def _show(self, req: Request, resp: Response, *, fault: str) -> None:
        session = await self._guard.session(req, resp, InterruptedRequest("GET", METHODS))
        if session is None:
            return
        if await passkey_enrolment_options(self._web.accounts, self._web.browser(req), session) is None:
            resp.redirect(f"{METHODS}/recovery-codes")
            return
        show_part(self._web, req, resp, "passkey.html", METHODS, fault=fault)

    async def post_options(self, req: Request, resp: Response) -> None:
        """Return the options for creating a passkey."""
        session = await self._guard.session(req, resp, InterruptedRequest("GET", METHODS))
        if session is None:
            return
        if is_form(req) and is_of_other_flow(self._web, req, await fields_of(req)):
            raise ProblemError("not_found")
        options = await passkey_enrolment_options(self._web.accounts, self._web.browser(req), session)
        if options is None:
            raise ProblemError("not_found")
        resp.write(options.encode(), JSON)

    async def finish(self, form: Submission) -> None:
        """Verify and store the new passkey."""
        if is_of_other_flow(self._web, form.req, form.fields):
            show_other_flow(self._web, form.req, form.resp)
            return
        req, resp, credential = form.req, form.resp, form.fields.get("credential", "")
        browser = self._web.browser(req)
        outcome = await finish_passkey_enrolment(self._web.accounts, browser, form.session, credential)
        match outcome:
            case Applied(change):
                self._web.database.notify()
                drop_flow(req, resp, browser.flow)
                resp.redirect(f"{METHODS}?done={change.kind.value}")
            case CodesToKeep():
                resp.redirect(in_flow(self._web, req, f"{METHODS}/recovery-codes"))
            case InvalidCredentials():
                redirect_with(self._web, resp, PATH, {"wrong": "yes"}, flow_query(self._web, req)[1:])
            case ChangeRefusal():
                show_change_refusal(self._web, req, resp, outcome)
            case _:
                show_no_flow(self._web, req, resp)
