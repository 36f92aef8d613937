"""The page at /account/integration-codes: static codes for programs, which are never accepted as one-time codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.change import ChangeKind
from countersign.domain.accounts.integration_code import LIFETIMES, ROTATION_OVERLAP
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.flows.changes.integration_codes import (
    ListedCode,
    lifetime_of,
    list_codes,
    make_code,
    name_of,
    revoke_code,
    rotate_code,
)
from countersign.flows.changes.keep_codes import Kept, find_codes, keep_codes, show_codes
from countersign.messages.content.change_names import integration_code_summary
from countersign.messages.language.catalogue import mark
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import drop_flow, keep_flow
from countersign.web.pages.shared.account_layout import show_part, when
from countersign.web.pages.shared.flash import redirect_with, take_flash
from countersign.web.pages.shared.flow_mark import is_of_other_flow, show_other_flow

if TYPE_CHECKING:
    from countersign.domain.accounts.session import Session
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.change_form import ChangeForms, Submission
    from countersign.web.pages.shared.session_guard import SessionGuard

PATH: Final = "/account/integration-codes"


FAULTS: Final = {
    "name": mark("Enter a name, so that you can recognise it."),
    "scopes": mark("Choose at least one thing it can do."),
    "days": mark("Choose how long it works."),
}
"""What is wrong with a field of the form."""


class IntegrationCodesPage:
    """The integration codes, and the forms to make, renew and revoke them."""

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
        language, said = language_of(req), take_flash(self._web, req, resp, PATH)
        show_part(
            self._web,
            req,
            resp,
            "integration_codes.html",
            PATH,
            codes=[
                {
                    "id": one.id,
                    "name": one.name,
                    "scopes": ", ".join(one.scopes),
                    "expires": when(one.expires_at, language),
                    "used": when(one.last_used_at, language) if one.last_used_at else "",
                    "used_from": one.last_used_from,
                }
                for one in await list_codes(self._web.accounts, session.account)
            ],
            offered=self._web.settings.integration_codes.scopes,
            lifetimes=LIFETIMES,
            faults={field: language.say(FAULTS[field]) for field in FAULTS if f"{field}_fault" in said},
            typed=said.get("name", ""),
        )

    async def make(self, form: Submission) -> None:
        """Make a code, and lead to the page that shows it."""
        fields, name = form.fields, name_of(form.fields.get("name", ""))
        scopes = [scope for scope in self._web.settings.integration_codes.scopes if fields.get(f"scope-{scope}")]
        days = lifetime_of(fields.get("days", ""))
        if not name or not scopes or days is None:
            faults = {"name_fault": not name, "scopes_fault": not scopes, "days_fault": days is None}
            said = {"name": name, **{field: "yes" for field, is_wrong in faults.items() if is_wrong}}
            redirect_with(self._web, form.resp, PATH, said)
            return
        summary = integration_code_summary(ChangeKind.INTEGRATION_CODE_MADE, form.act_language, name, scopes, days)
        outcome, code = await make_code(
            self._web.accounts, form.browser, form.session, name, scopes, days=days, summary=summary
        )
        if await self._forms.settle(form, outcome) is not None:
            await self._show_until_kept(form, ChangeKind.INTEGRATION_CODE_MADE, name, code)

    async def rotate(self, form: Submission) -> None:
        """Renew a code, and lead to the page that shows the new one."""
        which = form.fields.get("code", "")
        found = await self._find(form.session, which)
        name = found.name if found is not None else ""
        summary = (
            integration_code_summary(
                ChangeKind.INTEGRATION_CODE_ROTATED, form.act_language, name, found.scopes, found.days
            )
            if found is not None
            else ""
        )
        outcome, code = await rotate_code(self._web.accounts, form.browser, form.session, which, summary)
        if await self._forms.settle(form, outcome) is not None:
            await self._show_until_kept(form, ChangeKind.INTEGRATION_CODE_ROTATED, name, code)

    async def revoke(self, form: Submission) -> None:
        """Revoke a code."""
        which = form.fields.get("code", "")
        found = await self._find(form.session, which)
        name = found.name if found is not None else ""
        summary = form.act_language.say("Revoke the integration code “{name}”", name=name)
        outcome = await revoke_code(self._web.accounts, form.browser, form.session, which, summary)
        done = await self._forms.settle(form, outcome)
        if done is not None:
            form.resp.redirect(f"{PATH}?done={done.change.kind.value}")

    async def _find(self, session: Session, which: str) -> ListedCode | None:
        return next((one for one in await list_codes(self._web.accounts, session.account) if one.id == which), None)

    async def _show_until_kept(self, form: Submission, kind: ChangeKind, name: str, code: str) -> None:
        accounts = self._web.accounts
        shown = await show_codes(
            accounts, form.browser, form.session, (code,), accounts.now(), name=name, change=kind.value
        )
        keep_flow(form.req, form.resp, shown)
        form.resp.redirect(f"{PATH}/made")

    async def get_made(self, req: Request, resp: Response) -> None:
        """Show the code that this session has made and not kept yet."""
        session = await self._guard.session(req, resp, InterruptedRequest("GET", PATH))
        if session is None:
            return
        shown = await find_codes(self._web.accounts, self._web.browser(req), session)
        if shown is None or not shown.change:
            resp.redirect(PATH)
            return
        language, old = language_of(req), ""
        if shown.change == ChangeKind.INTEGRATION_CODE_ROTATED.value:
            until = when(shown.made_at + ROTATION_OVERLAP, language)
            old = language.say("The old one works until {when}.", when=until)
        show_part(
            self._web,
            req,
            resp,
            "integration_code.html",
            PATH,
            name=shown.name,
            code=shown.codes[0],
            old=old,
            minutes=-(-(shown.until - self._web.accounts.now()) // 60_000),
        )

    async def keep(self, form: Submission) -> None:
        """Record that the code is kept: it is not shown again. A second press does nothing more."""
        if is_of_other_flow(self._web, form.req, form.fields):
            show_other_flow(self._web, form.req, form.resp)
            return
        browser = self._web.browser(form.req)
        if isinstance(await keep_codes(self._web.accounts, browser, form.session), Kept):
            drop_flow(form.req, form.resp, browser.flow)
        form.resp.redirect(PATH)
