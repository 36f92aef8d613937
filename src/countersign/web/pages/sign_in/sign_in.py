"""The page at /sign-in: identifier and password, then a code unless the account trusts this browser."""

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
from countersign.flows.accounts.sessions import find_session
from countersign.flows.oidc.asking_client import find_asking_client
from countersign.flows.sign_in.passkey_challenge import offered_challenge
from countersign.flows.sign_in.sign_in import sign_in
from countersign.flows.verifications.results import Refused
from countersign.messages.content.risk_reasons import reason
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import keep_session
from countersign.web.http.forms import fields_of
from countersign.web.pages.shared.destinations import return_to, to_verification
from countersign.web.pages.shared.flash import SIGNED_OUT, word_of
from countersign.web.pages.shared.readings import reading_of
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
        hint = (await find_asking_client(self._web.accounts, wanted)).login_hint
        await self._show(req, resp, hint, wanted)

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
        regions = self._web.browser(req).regions
        asking = await find_asking_client(self._web.accounts, wanted)
        show(
            self._web,
            req,
            resp,
            "sign_in.html",
            identifier=identifier,
            reading=reading_of(identifier, regions, language_of(req)) if wrong else "",
            return_to=wanted,
            wrong=wrong,
            asking=asking.site,
            word=word_of(req, language_of(req)),
            word_is_good=req.get_param("done") == SIGNED_OUT,
            challenge=offered_challenge(self._web.accounts, self._web.browser(req).device),
            form_action=asking.origin,
        )
