"""The page at /account/data: download everything that is stored about the account, or have the account deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.deletion import DAY, is_deletion_pending
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.accounts.account_language import account_language
from countersign.flows.accounts.export import check_export, export_account
from countersign.flows.changes.delete_account import cancel_deletion, request_deletion
from countersign.messages.content.change_names import DELETE_ACCOUNT, EXPORT_DATA
from countersign.messages.language.datetimes import day
from countersign.store.tables import accounts as account_rows
from countersign.web.http.browser import language_of
from countersign.web.pages.shared.account_layout import show_part
from countersign.web.pages.shared.word_pages import show_change_refusal

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.change_form import Submission
    from countersign.web.pages.shared.session_guard import SessionGuard

PATH: Final = "/account/data"
FILE_NAME: Final = "account.json"


class DataPage:
    """The page, the download, and the deletion."""

    def __init__(self, web: WebContext, guard: SessionGuard) -> None:
        self._web = web
        self._guard = guard

    async def get(self, req: Request, resp: Response) -> None:
        """Show the page to a signed-in person."""
        session = await self._guard.session(req, resp, InterruptedRequest("GET", PATH))
        if session is None:
            return
        accounts, language = self._web.accounts, language_of(req)
        account = await accounts.database.read(account_rows.find, session.account)
        if account is None:
            resp.redirect("/sign-in")
            return
        spoken = await account_language(accounts, session, language)
        missing = await check_export(accounts, session, spoken.say(EXPORT_DATA))
        due = account.deletion_at if is_deletion_pending(account) else None
        show_part(
            self._web,
            req,
            resp,
            "data.html",
            PATH,
            ready=missing is None,
            due=day(due, language.timezone, language.locale) if due is not None else "",
            delay=language.count("{number} day", "{number} days", accounts.deletion_policy.delay // DAY),
        )

    async def prepare(self, form: Submission) -> None:
        """Ask for the proof of a download. Afterwards the page has a button that downloads the file."""
        missing = await check_export(self._web.accounts, form.session, form.act_language.say(EXPORT_DATA))
        if missing is None:
            form.resp.redirect(f"{PATH}?done=ready")
        else:
            await self._ask(form, missing)

    async def download(self, form: Submission) -> None:
        """Answer with the file, once."""
        summary = form.act_language.say(EXPORT_DATA)
        match await export_account(self._web.accounts, form.browser, form.session, summary):
            case bytes() as exported:
                self._web.database.notify()
                form.resp.content_type = "application/json; charset=utf-8"
                form.resp.set_header("Content-Disposition", f'attachment; filename="{FILE_NAME}"')
                form.resp.set_header("Cache-Control", "no-store")
                form.resp.set_header("X-Content-Type-Options", "nosniff")
                form.resp.data = exported
            case ProofRequirement():
                form.resp.redirect(PATH)
            case ChangeRefusal() as refusal:
                show_change_refusal(self._web, form.req, form.resp, refusal)

    async def delete(self, form: Submission) -> None:
        """Ask for the deletion of the account, after a proof for this act."""
        summary = form.act_language.say(DELETE_ACCOUNT)
        outcome = await request_deletion(self._web.accounts, form.browser, form.session, summary)
        match outcome:
            case ProofRequirement():
                await self._ask(form, outcome)
            case ChangeRefusal():
                show_change_refusal(self._web, form.req, form.resp, outcome)
            case _:
                self._web.database.notify()
                form.resp.redirect(f"{PATH}?done=deletion")

    async def keep(self, form: Submission) -> None:
        """Cancel the deletion. It needs no further proof."""
        kept = await cancel_deletion(self._web.accounts, form.browser, form.session)
        self._web.database.notify()
        form.resp.redirect(f"{PATH}?done={'kept' if kept else 'nothing'}")

    async def _ask(self, form: Submission, missing: ProofRequirement) -> None:
        await self._guard.ask_for(form.req, form.resp, form.session, missing, form.then)
