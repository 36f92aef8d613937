"""The page at /sign-in: identifier and password, then a code unless the account trusts this browser; and the form at /sign-out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.flows.accounts.context import (
    CodeRequested,
    InvalidCredentials,
    NoEligibleMethod,
    SignedIn,
    SignInDenied,
)
from countersign.flows.accounts.sessions import find_session, sign_out
from countersign.flows.sign_in.passkey_challenge import offered_challenge
from countersign.flows.sign_in.sign_in import sign_in
from countersign.flows.verifications.results import Refused
from countersign.messages.content.risk_reasons import reason
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import FLOW, SESSION, drop, keep_session
from countersign.web.http.forms import fields_of
from countersign.web.pages.shared.destinations import leads_to, return_to, to_verification
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.word_pages import show_refusal, show_word

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


class SignInPage:
    """GET shows the form, POST checks the password."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Show the form. A signed-in person goes on at once."""
        wanted = req.get_param("return_to") or ""
        if await find_session(self._web.accounts, self._web.browser(req)) is not None:
            resp.redirect(await return_to(self._web, wanted))
            return
        await self._show(req, resp, "", wanted)

    async def post(self, req: Request, resp: Response) -> None:
        """Sign in, ask for a code, or refuse: alike for unknown, wrong, locked and disabled (semantics S1)."""
        fields = await fields_of(req)
        wanted = fields.get("return_to", "")
        then = InterruptedRequest(path=await return_to(self._web, wanted))
        outcome = await sign_in(
            self._web.accounts, self._web.browser(req), fields.get("identifier", ""), fields.get("password", ""), then
        )
        match outcome:
            case CodeRequested():
                to_verification(resp, outcome)
            case SignedIn():
                keep_session(resp, outcome)
                resp.redirect(outcome.interrupted.path)
            case InvalidCredentials():
                resp.status = falcon.HTTP_422
                await self._show(req, resp, fields.get("identifier", ""), wanted, wrong=True)
            case SignInDenied(reasons):
                resp.status = falcon.HTTP_403
                language = language_of(req)
                show_word(
                    self._web,
                    req,
                    resp,
                    "bad",
                    language.say("You cannot sign in from here"),
                    reason(reasons, language),
                    ("/sign-in", language.say("Try again")),
                )
            case Refused() | NoEligibleMethod():
                show_refusal(self._web, req, resp, outcome)

    async def _show(self, req: Request, resp: Response, identifier: str, wanted: str, *, wrong: bool = False) -> None:
        show(
            self._web,
            req,
            resp,
            "sign_in.html",
            identifier=identifier,
            return_to=wanted,
            wrong=wrong,
            challenge=offered_challenge(self._web.accounts, self._web.browser(req).device),
            form_action=await leads_to(self._web, wanted),
        )


class SignOutForm:
    """POST ends the session, on the server and in the browser."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def post(self, req: Request, resp: Response) -> None:
        """End the session. A second time does nothing."""
        await sign_out(self._web.accounts, self._web.browser(req))
        drop(resp, SESSION)
        drop(resp, FLOW)
        resp.redirect("/sign-in")
