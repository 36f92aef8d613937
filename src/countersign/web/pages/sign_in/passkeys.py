"""The requests below /sign-in and /verify by which a browser uses a passkey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.flows.accounts.context import InvalidCredentials, SignedIn
from countersign.flows.sign_in.passkeys import (
    begin_passkey_proof,
    begin_passkey_sign_in,
    prove_with_passkey,
    sign_in_with_passkey,
)
from countersign.flows.verifications.results import Refused
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import FLOW, drop, keep_flow, keep_session
from countersign.web.http.forms import fields_of
from countersign.web.http.problems import ProblemError
from countersign.web.http.response import JSON
from countersign.web.pages.shared.destinations import return_to
from countersign.web.pages.shared.flow_mark import is_of_other_flow, show_other_flow
from countersign.web.pages.shared.word_pages import show_refusal, show_word
from countersign.web.pages.sign_in.authenticator import AuthenticatorPage, remembers

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.continue_flow import ContinueFlow


class PasskeyPages:
    """For each use, one POST returns the options as JSON, and another takes the browser's response."""

    def __init__(self, web: WebContext, continue_flow: ContinueFlow, authenticator: AuthenticatorPage) -> None:
        self._web = web
        self._continue_flow = continue_flow
        self._authenticator = authenticator

    async def post_sign_in_begin(self, req: Request, resp: Response) -> None:
        """Return the options for signing in."""
        fields = await fields_of(req)
        then = InterruptedRequest(path=await return_to(self._web, fields.get("return_to", "")))
        outcome = await begin_passkey_sign_in(self._web.accounts, self._web.browser(req), then)
        if isinstance(outcome, Refused):
            show_refusal(self._web, req, resp, outcome)
            return
        begun, options = outcome
        keep_flow(resp, begun)
        resp.write(options.encode(), JSON)

    async def post_sign_in(self, req: Request, resp: Response) -> None:
        """Sign the person in."""
        fields = await fields_of(req)
        then = InterruptedRequest(path=await return_to(self._web, fields.get("return_to", "")))
        outcome = await sign_in_with_passkey(
            self._web.accounts, self._web.browser(req), fields.get("credential", ""), then
        )
        match outcome:
            case SignedIn():
                keep_session(resp, outcome)
                resp.redirect(outcome.interrupted.path)
            case InvalidCredentials():
                language = language_of(req)
                resp.status = falcon.HTTP_422
                drop(resp, FLOW)
                show_word(
                    self._web,
                    req,
                    resp,
                    "warn",
                    language.say("That did not work."),
                    language.say(
                        "This passkey does not open an account here. Try again, or sign in with your password."
                    ),
                    ("/sign-in", language.say("Sign in")),
                )
            case Refused():
                show_refusal(self._web, req, resp, outcome)

    async def post_verify_begin(self, req: Request, resp: Response) -> None:
        """Return the options for proving the flow that is under way."""
        if is_of_other_flow(self._web, req, await fields_of(req)):
            raise ProblemError("not_found")
        options = await begin_passkey_proof(self._web.accounts, self._web.browser(req))
        if options is None:
            raise ProblemError("not_found")
        resp.write(options.encode(), JSON)

    async def post_verify(self, req: Request, resp: Response) -> None:
        """Check the response."""
        fields = await fields_of(req)
        if is_of_other_flow(self._web, req, fields):
            show_other_flow(self._web, req, resp)
            return
        outcome = await prove_with_passkey(
            self._web.accounts, self._web.browser(req), fields.get("credential", ""), remember=remembers(fields)
        )
        if isinstance(outcome, InvalidCredentials):
            resp.status = falcon.HTTP_422
            fault = language_of(req).say(
                "This passkey does not belong to your account, or it was not confirmed. Try again."
            )
            await self._authenticator.again(req, resp, AuthenticatorKind.PASSKEY, fault)
        else:
            await self._continue_flow.go(req, resp, outcome)
