"""The page at /account/changes: cancels pending changes, and undoes applied ones while that is possible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.change import RULES, UNDO_PERIOD, ChangeState
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.undo import cancel_change, undo_change
from countersign.messages.content.change_names import CHANGE_NAMES
from countersign.messages.content.device_name import device_name
from countersign.messages.language.catalogue import Language, mark
from countersign.store.tables import changes
from countersign.web.http.browser import language_of
from countersign.web.pages.shared.account_layout import show_part, when
from countersign.web.pages.shared.word_pages import show_change_refusal

if TYPE_CHECKING:
    from countersign.domain.accounts.change import AccountChange
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
    ChangeState.CANCELED: mark("Canceled"),
    ChangeState.UNDONE: mark("Undone"),
    ChangeState.EXPIRED: mark("Ran out"),
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
        show_part(
            self._web,
            req,
            resp,
            "changes.html",
            PATH,
            changes=[_shown(one, language, now) for one in found],
        )

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
        what = _words(found, language) if found is not None else ""
        summary = language.say("Undo: {what}", what=what)
        outcome = await undo_change(accounts, form.browser, form.session, which, summary)
        if await self._forms.settle(form, outcome) is not None:
            form.resp.redirect(f"{PATH}?done=undone")


def _shown(change: AccountChange, language: Language, now: int) -> dict[str, object]:
    state = change.state_at(now)
    waits = state is ChangeState.PENDING and RULES[change.kind].wait
    return {
        "id": change.id,
        "what": _words(change, language),
        "state": language.say(STATES[state]),
        "asked": when(change.asked_at, language),
        "device": device_name(change.user_agent, language.tag),
        "place": change.place,
        "pending": state is ChangeState.PENDING,
        "due": when(change.due_at, language) if waits else "",
        "undoable": when(change.until, language) if change.is_undoable(now) else "",
    }


def _words(change: AccountChange, language: Language) -> str:
    return language.say(CHANGE_NAMES[change.kind], about=f"\u2066{change.about}\u2069")
