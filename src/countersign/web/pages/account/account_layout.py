"""What the parts of the account's page share: who is signed in, what was done, and how a form becomes a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.change import ChangeKind, ChangeRefusal
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.submit import SubmitResult, submit_change
from countersign.flows.verifications.results import Refused
from countersign.messages.language.catalogue import Language, mark
from countersign.messages.language.datetimes import day, time_of_day
from countersign.web.http.forms import spoken

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from countersign.domain.accounts.session import Session
    from countersign.flows.accounts.context import BrowserContext
    from countersign.flows.changes.request import ChangeRequest
    from countersign.web.pages.continue_flow import Onward
    from countersign.web.pages.session_guard import Door

PARTS: Final = {
    "/account": mark("Overview"),
    "/account/contacts": mark("Contacts"),
    "/account/password": mark("Password"),
    "/account/methods": mark("Ways to confirm"),
    "/account/sessions": mark("Sessions"),
    "/account/devices": mark("Browsers"),
    "/account/integration-codes": mark("Integration codes"),
    "/account/changes": mark("Changes"),
    "/account/activity": mark("Activity"),
}
"""The parts of the page by their addresses, in the order of the navigation."""

DONE: Final = {
    ChangeKind.CONTACT_ADDED.value: mark("The contact was added. All your contacts are told."),
    ChangeKind.CONTACT_REPLACED.value: mark(
        "The contact was replaced. The old one is told, and can undo it for 7 days."
    ),
    ChangeKind.CONTACT_PRIMARY.value: mark("Codes go there first from now on."),
    ChangeKind.CONTACT_REMOVED.value: mark("The contact was removed. It is told, and can undo it for 7 days."),
    ChangeKind.PASSWORD_CHANGED.value: mark("Your password was changed. All other sessions have ended."),
    ChangeKind.METHOD_ADDED.value: mark("It was added. From now on it is asked for when you sign in."),
    ChangeKind.METHOD_REMOVED.value: mark("It was removed."),
    ChangeKind.RECOVERY_CODES_MADE.value: mark("You have new recovery codes. The old ones are worth nothing now."),
    ChangeKind.INTEGRATION_CODE_REVOKED.value: mark("The integration code was revoked. It opens nothing any more."),
    "enrol": mark("Here a passkey or an authenticator app is needed. Add one, and you can go on."),
    "canceled": mark("The change was canceled."),
    "undone": mark("The change was undone. All your contacts are told."),
    "checked": mark("Thank you. We will ask again in a year."),
    "session": mark("That session has ended."),
    "others": mark("All other sessions have ended."),
    "browser": mark("That browser is forgotten. It needs a code the next time."),
    "nothing": mark("There was nothing left to end."),
}
"""What was done, by the word in the address that a form leads to."""


async def carry_out(  # noqa: PLR0917 - a request with all that is known of it
    onward: Onward,
    req: Request,
    resp: Response,
    browser: BrowserContext,
    session: Session,
    wanted: ChangeRequest,
    then: InterruptedRequest,
) -> Applied | None:
    """Make a change and return it; else answer with what it needs first or why it cannot be, and return None.

    `then` is the form that goes on after the proof; the one of the page that asks.
    """
    outcome = await submit_change(onward.door.accounts, browser, session, wanted)
    return await answered(onward, req, resp, session, outcome, then)


async def answered(
    onward: Onward, req: Request, resp: Response, session: Session, outcome: SubmitResult, then: InterruptedRequest
) -> Applied | None:
    """Return a change that was made; else answer with what it needs first or why it cannot be, and return None."""
    door = onward.door
    match outcome:
        case Applied():
            door.accounts.database.notify()
            return outcome
        case ProofRequirement():
            await door.ask_for(req, resp, session, outcome, then)
        case CodeRequested():
            door.accounts.database.notify()
            door.to_verify(resp, outcome)
        case ChangeRefusal():
            onward.refused(req, resp, outcome)
        case Refused():
            door.refuse(req, resp, outcome)
    return None


def show_part(door: Door, req: Request, resp: Response, template: str, here: str, **values: object) -> Language:
    """Answer with one part of the account's page; `here` is its address."""
    language = spoken(req)
    done = req.get_param("done") or ""
    return door.show(
        req,
        resp,
        template,
        here=here,
        title=language.say(PARTS[here]),
        parts=[(path, language.say(label)) for path, label in PARTS.items()],
        done=language.say(DONE[done]) if done in DONE else "",
        **values,
    )


def when(at: int, language: Language) -> str:
    """Return a time (ms) as a person reads it."""
    return language.say(
        "{day}, {time}", day=day(at, "UTC", language.locale), time=time_of_day(at, "UTC", language.locale)
    )
