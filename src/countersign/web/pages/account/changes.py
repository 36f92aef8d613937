"""The part at /account/changes: what waits can be canceled, what was done can be undone, for as long as that goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.change import RULES, UNDO_LASTS, ChangeKind, ChangeRefusal, ChangeState
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.undo import cancel_change, undo_change
from countersign.messages.content.device_name import device_name
from countersign.messages.language.catalogue import Language, mark
from countersign.store.tables import changes
from countersign.web.http.forms import fields_of, spoken
from countersign.web.pages.account.account_layout import show_part, when

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request, Response

    from countersign.domain.accounts.change import AccountChange
    from countersign.domain.accounts.session import Session
    from countersign.flows.accounts.context import BrowserContext
    from countersign.web.pages.continue_flow import Onward

PATH: Final = "/account/changes"
SHOWN: Final = 50
SINCE: Final = 4 * UNDO_LASTS

KINDS: Final = {
    ChangeKind.CONTACT_ADDED: mark("Contact added: {about}"),
    ChangeKind.CONTACT_REPLACED: mark("Contact replaced by {about}"),
    ChangeKind.CONTACT_PRIMARY: mark("Codes go to {about} first"),
    ChangeKind.CONTACT_REMOVED: mark("Contact removed: {about}"),
    ChangeKind.PASSWORD_CHANGED: mark("Password changed"),
    ChangeKind.PASSWORD_RECOVERED: mark("Password replaced by recovery"),
    ChangeKind.METHOD_ADDED: mark("Way to confirm added: {about}"),
    ChangeKind.METHOD_REMOVED: mark("Way to confirm removed: {about}"),
    ChangeKind.RECOVERY_CODES_MADE: mark("New recovery codes made"),
    ChangeKind.BROWSER_REMOVED: mark("Browser forgotten"),
    ChangeKind.INTEGRATION_CODE_MADE: mark("Integration code made: {about}"),
    ChangeKind.INTEGRATION_CODE_ROTATED: mark("Integration code renewed: {about}"),
    ChangeKind.INTEGRATION_CODE_REVOKED: mark("Integration code revoked: {about}"),
    ChangeKind.ACCESS_RECOVERED: mark("Account taken over by {about}"),
}
"""What a change is, in words."""
STATES: Final = {
    ChangeState.PENDING: mark("Waiting"),
    ChangeState.APPLIED: mark("Done"),
    ChangeState.CANCELED: mark("Canceled"),
    ChangeState.UNDONE: mark("Undone"),
    ChangeState.EXPIRED: mark("Ran out"),
}


class ChangesPage:
    """GET shows the changes of the last weeks; POST below cancels one that waits or undoes one that was made."""

    def __init__(self, onward: Onward) -> None:
        self._onward = onward
        self._door = onward.door

    async def on_get(self, req: Request, resp: Response) -> None:
        """Show them to who is signed in."""
        session = await self._door.session(req, resp, InterruptedRequest("GET", PATH))
        if session is None:
            return
        context, language = self._door.accounts, spoken(req)
        now = context.now()
        found = await context.database.read(changes.list_since, session.account, now - SINCE, SHOWN)
        show_part(
            self._door,
            req,
            resp,
            "changes.html",
            PATH,
            changes=[_shown(one, language, now) for one in found],
        )

    on_head = on_get

    async def on_post_cancel(self, req: Request, resp: Response) -> None:
        """Cancel what waits: it takes nothing but being signed in."""
        fields = await fields_of(req)
        session = await self._door.session(req, resp, InterruptedRequest("GET", PATH))
        if session is None:
            return
        outcome = await cancel_change(
            self._door.accounts, self._door.browser(req), session.account, fields.get("change", "")
        )
        if isinstance(outcome, Applied):
            self._door.see(resp, f"{PATH}?done=canceled")
        else:
            self._onward.refused(req, resp, outcome)

    async def on_post_undo(self, req: Request, resp: Response) -> None:
        """Undo what was made, after a proof for this very act."""
        fields = await fields_of(req)
        session = await self._door.session(req, resp, InterruptedRequest("GET", PATH))
        if session is not None:
            await self.undo(req, resp, self._door.browser(req), session, fields)

    async def undo(
        self, req: Request, resp: Response, browser: BrowserContext, session: Session, fields: Mapping[str, str]
    ) -> None:
        """Ask for the proof, then undo it."""
        which, context, language = fields.get("change", ""), self._door.accounts, spoken(req)
        found = await context.database.read(changes.find, session.account, which)
        what = _words(found, language) if found is not None else ""
        outcome = await undo_change(context, browser, session, which, language.say("Undo: {what}", what=what))
        match outcome:
            case Applied():
                context.database.announce()
                self._door.see(resp, f"{PATH}?done=undone")
            case ProofRequirement():
                then = InterruptedRequest("POST", f"{PATH}/undo", tuple(fields.items()))
                await self._door.ask_for(req, resp, session, outcome, then)
            case ChangeRefusal():
                self._onward.refused(req, resp, outcome)


def _shown(change: AccountChange, language: Language, now: int) -> dict[str, object]:
    state = change.state_at(now)
    waits = state is ChangeState.PENDING and RULES[change.kind].waits
    return {
        "id": change.id,
        "what": _words(change, language),
        "state": language.say(STATES[state]),
        "asked": when(change.asked_at, language),
        "device": device_name(change.user_agent, language.tag),
        "place": change.place,
        "pending": state is ChangeState.PENDING,
        "due": when(change.due_at, language) if waits else "",
        "undoable": when(change.until, language) if change.undoable(now) else "",
    }


def _words(change: AccountChange, language: Language) -> str:
    return language.say(KINDS[change.kind], about=f"\u2066{change.about}\u2069")
