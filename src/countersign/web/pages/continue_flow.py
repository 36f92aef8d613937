"""Onward: where a person goes when a flow has its proof, whichever way it was given; and what is told where nothing goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon
import msgspec

from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.flows.accounts.context import AccountExists, BrowserContext, FlowNotFound, SignedIn
from countersign.flows.accounts.sessions import find_session
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.delayed_recovery import RecoveryPending
from countersign.flows.sign_in.complete import CompletedFlow, PasswordResetAllowed
from countersign.messages.language.catalogue import mark
from countersign.messages.language.datetimes import day
from countersign.web.http.cookies import VISIT, drop
from countersign.web.http.forms import spoken

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from falcon.asgi import Request, Response

    from countersign.domain.accounts.session import Session
    from countersign.web.pages.session_guard import Door

    Act = Callable[[Request, Response, BrowserContext, Session, Mapping[str, str]], Awaitable[None]]
    Acts = Mapping[str, Act]

AGAIN: Final = {
    LoginFlowKind.SIGN_UP: "/sign-up",
    LoginFlowKind.SIGN_IN: "/sign-in",
    LoginFlowKind.STEP_UP: "/account",
    LoginFlowKind.BIND: "/account/contacts",
    LoginFlowKind.RECOVER: "/recover",
    LoginFlowKind.CLAIM: "/recover/lost",
    LoginFlowKind.ENROL: "/account/methods",
    LoginFlowKind.ENROL_PASSKEY: "/account/methods",
    LoginFlowKind.PASSKEY: "/sign-in",
}
"""Where each kind of flow is begun again."""

REFUSALS: Final = {
    ChangeRefusal.UNKNOWN: mark("It is not there any more. Perhaps it was changed in another window."),
    ChangeRefusal.LAST_CONTACT: mark(
        "This is your last contact. Without one you could not get back in: add another first."
    ),
    ChangeRefusal.ALREADY_YOURS: mark("It is so already."),
    ChangeRefusal.ANOTHERS: mark("This address or number belongs to another account. Use another one."),
    ChangeRefusal.TOO_MANY: mark("You have as many as there may be. Remove one first."),
    ChangeRefusal.REDUCED: mark(
        "Your account was recovered a few days ago. Until seven days are over, nothing can be taken away that its owner would miss."
    ),
    ChangeRefusal.NOT_PENDING: mark(
        "This change is not waiting any more: it was canceled, it ran out, or the session that asked for it has ended."
    ),
    ChangeRefusal.TOO_EARLY: mark("The waiting time is not over yet."),
}
"""Why a change is not made, in words."""


class Onward:
    """Sends a browser on. `acts` are our own forms that go on after a step-up, by their addresses."""

    def __init__(self, door: Door, acts: Acts) -> None:
        self.door = door
        self._acts = acts

    async def go(self, req: Request, resp: Response, finished: CompletedFlow) -> None:
        """Do what follows."""
        language = spoken(req)
        match finished:
            case SignedIn():
                await self._enter(req, resp, finished)
            case AccountExists():
                self.word(
                    req,
                    resp,
                    "good",
                    language.say("You have an account already"),
                    language.say(
                        "It was opened with this address while your code was on its way. Sign in with its password."
                    ),
                    ("/sign-in", language.say("Sign in")),
                )
            case Applied(change):
                drop(resp, VISIT)
                self.door.see(resp, f"/account/contacts?done={change.kind.value}")
            case ChangeRefusal():
                self.refused(req, resp, finished)
            case PasswordResetAllowed():
                self.door.see(resp, "/recover/password")
            case RecoveryPending(due_at):
                drop(resp, VISIT)
                self.word(
                    req,
                    resp,
                    "good",
                    language.say("The waiting time has begun"),
                    language.say(
                        "If there is such an account, all of its contacts are told now and every day, and each can stop this."
                        " If nobody does, come back on {day} or within the week after, and recover the account with your new contact.",
                        day=day(due_at, "UTC", language.locale),
                    ),
                    ("/sign-in", language.say("Sign in")),
                )
            case FlowNotFound():
                self.nothing(req, resp)

    def word(self, req: Request, resp: Response, tone: str, title: str, sentence: str, link: tuple[str, str]) -> None:
        """Show a page that says one thing."""
        self.door.show(req, resp, "word.html", tone=tone, title=title, sentence=sentence, link=link[0], label=link[1])

    def refused(self, req: Request, resp: Response, refusal: ChangeRefusal) -> None:
        """Say why a change was not made."""
        language = spoken(req)
        resp.status = falcon.HTTP_409
        self.word(
            req,
            resp,
            "warn",
            language.say("Nothing was changed"),
            language.say(REFUSALS[refusal]),
            ("/account", language.say("To your account")),
        )

    def nothing(self, req: Request, resp: Response) -> None:
        """Say that nothing is under way in this browser."""
        language = spoken(req)
        resp.status = falcon.HTTP_404
        drop(resp, VISIT)
        self.word(
            req,
            resp,
            "warn",
            language.say("Nothing is waiting for a code here"),
            language.say(
                "It may have been finished already, in another tab, or half an hour has passed. Start again, in one browser."
            ),
            ("/sign-in", language.say("Sign in")),
        )

    async def _enter(self, req: Request, resp: Response, entered: SignedIn) -> None:
        """Go on where the person was going: by GET, or by carrying out the form that was interrupted, once (semantics U1)."""
        self.door.enter(resp, entered)
        then = entered.interrupted
        act = self._acts.get(then.path) if then.method == "POST" else None
        if act is not None:
            browser = msgspec.structs.replace(
                self.door.browser(req), session=entered.session, device=entered.device, flow=""
            )
            session = await find_session(self.door.accounts, browser)
            if session is not None:
                await act(req, resp, browser, session, dict(then.fields))
                return
        self.door.see(resp, then.path)
