"""The pages at /account/methods/recovery-codes: codes that were made are shown, copied, saved and printed until they are kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from countersign import links
from countersign.domain.accounts.change import ChangeKind, ChangeRefusal
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.enrol import make_recovery_codes
from countersign.flows.changes.keep_codes import Kept, ShownCodes, find_codes, keep_codes, show_codes
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import drop_flow, keep_flow
from countersign.web.pages.shared.account_layout import show_part
from countersign.web.pages.shared.destinations import return_to
from countersign.web.pages.shared.flow_mark import is_of_other_flow, show_other_flow
from countersign.web.pages.shared.word_pages import show_change_refusal

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.change_form import ChangeForms, Submission
    from countersign.web.pages.shared.session_guard import SessionGuard

METHODS: Final = "/account/methods"
PATH: Final = f"{METHODS}/recovery-codes"
_NOT_FOR_FILES: Final = re.compile(r"[^A-Za-z0-9.-]+")


class RecoveryCodesPage:
    """POST makes codes, GET shows them until "I have saved them" is pressed. They are shown to the session that made them alone."""

    def __init__(self, web: WebContext, guard: SessionGuard, forms: ChangeForms) -> None:
        self._web = web
        self._guard = guard
        self._forms = forms

    async def make(self, form: Submission) -> None:
        """Create new recovery codes, and lead to the page that shows them."""
        summary = form.act_language.say("Create new recovery codes")
        outcome, made = await make_recovery_codes(self._web.accounts, form.browser, form.session, summary)
        if await self._forms.settle(form, outcome) is not None:
            wanted = form.fields.get("return_to", "")
            then = InterruptedRequest(path=await return_to(self._web, wanted) if wanted else "")
            shown = await show_codes(
                self._web.accounts, form.browser, form.session, made.codes, made.made_at, then=then
            )
            keep_flow(form.req, form.resp, shown)
            form.resp.redirect(PATH)

    async def get(self, req: Request, resp: Response) -> None:
        """Show the codes that this session has made and not kept yet."""
        shown = await self._find(req, resp)
        if shown is None:
            return
        show_part(
            self._web,
            req,
            resp,
            "recovery_codes.html",
            METHODS,
            codes=shown.codes,
            waits=shown.name if shown.waits else "",
            minutes=-(-(shown.until - self._web.accounts.now()) // 60_000),
        )

    async def get_file(self, req: Request, resp: Response) -> None:
        """Return the codes as a text file. It is made here: nobody else sees them."""
        shown = await self._find(req, resp)
        if shown is None:
            return
        settings, language = self._web.settings, language_of(req)
        lines = (
            language.say("Recovery codes for {site} ({host})", site=settings.site, host=settings.host),
            language.say("Each works once. Keep them away from your phone and never share them."),
            "",
            *shown.codes,
            "",
        )
        resp.write("\r\n".join(lines).encode(), "text/plain; charset=utf-8")
        name = _NOT_FOR_FILES.sub("-", settings.host).strip("-.") or "countersign"
        resp.set_header("Content-Disposition", f'attachment; filename="{name}-recovery-codes.txt"')

    async def _find(self, req: Request, resp: Response) -> ShownCodes | None:
        session = await self._guard.session(req, resp, InterruptedRequest("GET", METHODS))
        if session is None:
            return None
        shown = await find_codes(self._web.accounts, self._web.browser(req), session)
        if shown is None or shown.change:
            resp.redirect(METHODS)
            return None
        return shown

    async def keep(self, form: Submission) -> None:
        """Record that the codes are kept, and add the app or passkey that waited for it. A second press does nothing more."""
        if is_of_other_flow(self._web, form.req, form.fields):
            show_other_flow(self._web, form.req, form.resp)
            return
        browser = self._web.browser(form.req)
        outcome = await keep_codes(self._web.accounts, browser, form.session)
        match outcome:
            case Applied(change):
                self._web.database.notify()
                drop_flow(form.req, form.resp, browser.flow)
                form.resp.redirect(f"{METHODS}?done={change.kind.value}")
            case Kept(then):
                drop_flow(form.req, form.resp, browser.flow)
                done = f"{METHODS}?done={ChangeKind.RECOVERY_CODES_MADE.value}"
                form.resp.redirect(done if then.path == links.ACCOUNT else then.path)
            case ChangeRefusal():
                show_change_refusal(self._web, form.req, form.resp, outcome)
            case _:
                form.resp.redirect(METHODS)
