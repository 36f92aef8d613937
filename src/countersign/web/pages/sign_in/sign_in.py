"""The page at /sign-in: identifier and password, then a code unless the account trusts this browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
from countersign.flows.sign_in.passkey_challenge import offered_challenge
from countersign.flows.sign_in.sign_in import sign_in
from countersign.flows.verifications.results import Refused
from countersign.messages.content.risk_reasons import reason
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import keep_session
from countersign.web.http.forms import fields_of
from countersign.web.pages.shared.destinations import origin_of, return_to, to_verification, with_origin
from countersign.web.pages.shared.done_words import SIGNED_OUT, word_of
from countersign.web.pages.shared.first_visit import drops_cookies, name_browser
from countersign.web.pages.shared.flash import keep_flash, take_flash
from countersign.web.pages.shared.readings import reading_of
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.word_pages import show_cookies_needed, show_refusal, show_word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

MAX_IDENTIFIER: Final = 320
"""Characters of an identifier that a form is filled with again."""


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
        said = take_flash(self._web, req, resp, "/sign-in")
        name_browser(self._web, req, resp)
        await self._show(req, resp, said, wanted or said.get("return_to", ""))

    async def post(self, req: Request, resp: Response) -> None:
        """Sign in, ask for a code, or refuse: alike for unknown, wrong, locked and disabled (semantics S1)."""
        fields = await fields_of(req)
        wanted = fields.get("return_to", "")
        if drops_cookies(self._web, req, fields):
            show_cookies_needed(self._web, req, resp, with_origin("/sign-in", wanted))
            return
        then = InterruptedRequest(path=await return_to(self._web, wanted))
        outcome = await sign_in(
            self._web.accounts, self._web.browser(req), fields.get("identifier", ""), fields.get("password", ""), then
        )
        match outcome:
            case CodeRequested():
                to_verification(req, resp, outcome)
            case SignedIn():
                keep_session(req, resp, outcome)
                resp.redirect(outcome.interrupted.path)
            case InvalidCredentials():
                said = {"wrong": "yes", "identifier": fields.get("identifier", "")[:MAX_IDENTIFIER]}
                keep_flash(self._web, resp, "/sign-in", said)
                resp.redirect(with_origin("/sign-in", then.path))
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
                    (with_origin("/sign-in", then.path), language.say("Try again")),
                )
            case Refused() | NoEligibleMethod():
                show_refusal(self._web, req, resp, outcome)

    async def _show(self, req: Request, resp: Response, said: Mapping[str, str], wanted: str) -> None:
        language, origin = language_of(req), await origin_of(self._web, wanted)
        identifier, browser = said.get("identifier", origin.login_hint), self._web.browser(req)
        show(
            self._web,
            req,
            resp,
            "sign_in.html",
            identifier=identifier,
            reading=reading_of(identifier, browser.regions, language) if "wrong" in said else "",
            return_to=wanted,
            wrong="wrong" in said,
            wrong_passkey="passkey" in said,
            asking=origin.asking,
            word=word_of(req, language),
            word_is_good=req.get_param("done") == SIGNED_OUT,
            challenge=offered_challenge(self._web.accounts, browser.device),
            sign_up=with_origin("/sign-up", origin.path),
            recover=with_origin("/recover", origin.path),
            origin=origin,
            form_action=origin.form_action,
        )
