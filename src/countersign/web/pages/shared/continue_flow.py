"""Continues a login flow that has its proof, whatever the kind of proof."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.login_flow import NOTHING_INTERRUPTED
from countersign.flows.accounts.account_language import account_language
from countersign.flows.accounts.context import AccountExists, FlowNotFound, SignedIn
from countersign.flows.accounts.sessions import find_session
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.delayed_recovery import RecoveryPending
from countersign.flows.sign_in.complete import CompletedFlow, PasswordResetAllowed
from countersign.messages.language.datetimes import day
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import OWN_RECOVERY, OWN_RECOVERY_KEPT, drop_flow, keep, keep_session
from countersign.web.pages.shared.change_form import Act, Submission
from countersign.web.pages.shared.destinations import page_of, with_origin
from countersign.web.pages.shared.origin import find_origin
from countersign.web.pages.shared.over import answer_over
from countersign.web.pages.shared.word_pages import show_change_refusal, show_outcome

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


class ContinueFlow:
    """Sends the browser on. `acts` are the handlers of our own forms by path, for those that continue after a step-up."""

    def __init__(self, web: WebContext, acts: Mapping[str, Act]) -> None:
        self._web = web
        self._acts = acts

    async def go(self, req: Request, resp: Response, completed: CompletedFlow) -> None:
        """Answer with the next step."""
        language = language_of(req)
        match completed:
            case SignedIn():
                await self._sign_in(req, resp, completed)
            case AccountExists():
                drop_flow(req, resp, self._web.browser(req).flow)
                show_outcome(
                    self._web,
                    req,
                    resp,
                    "good",
                    language.say("You already have an account"),
                    language.say(
                        "It was created with this email address or phone number while your code was on its way. Sign in with its password."
                    ),
                    (self._with_origin(req, "/sign-in"), language.say("Sign in")),
                )
            case Applied(change):
                drop_flow(req, resp, self._web.browser(req).flow)
                resp.redirect(f"/account/contacts?done={change.kind.value}")
            case ChangeRefusal():
                show_change_refusal(self._web, req, resp, completed)
            case PasswordResetAllowed():
                resp.redirect("/recover/password")
            case RecoveryPending(due_at, own):
                drop_flow(req, resp, self._web.browser(req).flow)
                keep(resp, OWN_RECOVERY, own, OWN_RECOVERY_KEPT)
                show_outcome(
                    self._web,
                    req,
                    resp,
                    "good",
                    language.say("The waiting time has started, if nothing prevents it"),
                    language.say(
                        "If there is such an account, we’re telling all its email addresses and phone numbers"
                        " now. Each can stop this. We do not start if someone else is waiting for it or has"
                        " stopped this lately. If nobody stops it, come back on {day} or in the week after. You"
                        " can then recover the account with your new contact details.",
                        day=day(due_at, language.timezone, language.locale),
                    ),
                    (self._with_origin(req, "/recover/lost"), language.say("See what you asked for")),
                )
            case FlowNotFound():
                await answer_over(self._web, req, resp)

    def _with_origin(self, req: Request, page: str) -> str:
        """Return the address of a page of ours, which leads back to where this flow came from."""
        origin = find_origin(self._web, req)
        return with_origin(page, page_of(origin.interrupted if origin is not None else NOTHING_INTERRUPTED))

    async def _sign_in(self, req: Request, resp: Response, signed_in: SignedIn) -> None:
        """Return to where the person was going: by GET, or by carrying out the interrupted form once (semantics U1)."""
        keep_session(req, resp, signed_in, self._web.browser(req).flow)
        then = signed_in.interrupted
        act = self._acts.get(then.path) if then.method == "POST" else None
        if act is not None:
            browser = msgspec.structs.replace(
                self._web.browser(req), session=signed_in.session, device=signed_in.device, flow=""
            )
            session = await find_session(self._web.accounts, browser)
            if session is not None:
                language = await account_language(self._web.accounts, session, language_of(req))
                await act(Submission(req, resp, browser, session, then.path, dict(then.fields), language))
                return
        resp.redirect(then.path)
