"""The page at /account/changes: cancels pending changes, and undoes applied ones while that is possible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.change import RULES, UNDO_PERIOD, ChangeState
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.flows.accounts.contact_names import contact_names
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.delayed_recovery import Allowed, allow_delayed_recovery
from countersign.flows.changes.name_contacts import undo_summary
from countersign.flows.changes.undo import cancel_change, undo_change
from countersign.messages.content.change_names import ALLOW_RECOVERY, change_name
from countersign.messages.content.device_name import device_name
from countersign.messages.content.place_name import place_name
from countersign.messages.language.catalogue import Language, mark
from countersign.store.tables import accounts as account_rows
from countersign.store.tables import changes
from countersign.web.http.browser import language_of
from countersign.web.pages.shared.account_layout import show_part, when
from countersign.web.pages.shared.word_pages import show_change_refusal

if TYPE_CHECKING:
    from countersign.domain.accounts.change import AccountChange
    from countersign.flows.accounts.contact_names import ContactNames
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.change_form import ChangeForms, Submission
    from countersign.web.pages.shared.session_guard import SessionGuard

PATH: Final = "/account/changes"
SHOWN: Final = 50
SINCE: Final = 4 * UNDO_PERIOD

STATES: Final = {
    ChangeState.PENDING: mark("Waiting"),
    ChangeState.APPLIED: mark("Done"),
    ChangeState.CANCELED: mark("Cancelled"),
    ChangeState.UNDONE: mark("Undone"),
    ChangeState.EXPIRED: mark("Expired"),
}


class ChangesPage:
    """The changes of the last weeks, with forms to cancel or undo them."""

    def __init__(self, web: WebContext, guard: SessionGuard, forms: ChangeForms) -> None:
        self._web = web
        self._guard = guard
        self._forms = forms

    async def get(self, req: Request, resp: Response) -> None:
        """Show the page to a signed-in person."""
        session = await self._guard.session(req, resp, InterruptedRequest("GET", PATH))
        if session is None:
            return
        accounts, language = self._web.accounts, language_of(req)
        now = accounts.now()
        found = await accounts.database.read(changes.list_since, session.account, now - SINCE, SHOWN)
        account = await accounts.database.read(account_rows.find, session.account)
        names = await contact_names(accounts, session)
        barred_until = account.recovery.barred_until if account is not None else 0
        show_part(
            self._web,
            req,
            resp,
            "changes.html",
            PATH,
            changes=[_shown(one, language, now, names) for one in found],
            barred=when(barred_until, language) if now < barred_until else "",
        )

    async def allow(self, form: Submission) -> None:
        """Allow delayed recoveries again before the bar is over, after a proof for this act (semantics R6)."""
        summary = form.language.say(ALLOW_RECOVERY)
        outcome = await allow_delayed_recovery(self._web.accounts, form.browser, form.session, summary)
        if isinstance(outcome, Allowed):
            form.resp.redirect(f"{PATH}?done=allowed")
        else:
            await self._forms.settle(form, outcome)

    async def cancel(self, form: Submission) -> None:
        """Cancel a pending change. It needs no further proof."""
        which = form.fields.get("change", "")
        outcome = await cancel_change(self._web.accounts, form.browser, form.session.account, which)
        if isinstance(outcome, Applied):
            form.resp.redirect(f"{PATH}?done=canceled")
        else:
            show_change_refusal(self._web, form.req, form.resp, outcome)

    async def undo(self, form: Submission) -> None:
        """Undo an applied change after a proof for this act."""
        which, accounts, language = form.fields.get("change", ""), self._web.accounts, form.act_language
        found = await accounts.database.read(changes.find, form.session.account, which)
        outcome = await undo_change(
            accounts,
            form.browser,
            form.session,
            which,
            *(await undo_summary(accounts, form.session, found, language)),
        )
        if await self._forms.settle(form, outcome) is not None:
            form.resp.redirect(f"{PATH}?done=undone")


def _shown(change: AccountChange, language: Language, now: int, names: ContactNames) -> dict[str, object]:
    state = change.state_at(now)
    waits = state is ChangeState.PENDING and RULES[change.kind].wait
    return {
        "id": change.id,
        "what": change_name(change, language, names.of_change(change)),
        "state": language.say(STATES[state]),
        "asked": when(change.asked_at, language),
        "device": device_name(change.user_agent, language.tag),
        "place": place_name(change.place, "", language),
        "pending": state is ChangeState.PENDING,
        "due": when(change.due_at, language) if waits else "",
        "undoable": when(change.until, language) if change.is_undoable(now) else "",
    }
