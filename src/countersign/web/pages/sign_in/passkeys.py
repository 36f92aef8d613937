"""The requests below /sign-in and /verify by which a browser uses a passkey."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from countersign.web.http.cookies import FLOW, drop, keep_flow, keep_session
from countersign.web.http.forms import fields_of
from countersign.web.http.problems import ProblemError
from countersign.web.http.response import JSON
from countersign.web.pages.shared.destinations import return_to
from countersign.web.pages.shared.flash import redirect_with
from countersign.web.pages.shared.flow_mark import is_of_other_flow, show_other_flow
from countersign.web.pages.shared.word_pages import show_refusal
from countersign.web.pages.sign_in.authenticator import remembers
from countersign.web.pages.sign_in.verification_faults import to_screen

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.continue_flow import ContinueFlow


class PasskeyPages:
    """For each use, one POST returns the options as JSON, and another takes the browser's response."""

    def __init__(self, web: WebContext, continue_flow: ContinueFlow) -> None:
        self._web = web
        self._continue_flow = continue_flow

    async def to_sign_in(self, _: Request, resp: Response) -> None:
        """Lead to the form: whoever reloads the address of a request, or opens it again, repeats nothing."""
        resp.redirect("/sign-in")

    async def post_sign_in_begin(self, req: Request, resp: Response) -> None:
        """Return the options for signing in."""
        fields = await fields_of(req)
        then = InterruptedRequest(path=await return_to(self._web, fields.get("return_to", "")))
        outcome = await begin_passkey_sign_in(self._web.accounts, self._web.browser(req), then)
        if isinstance(outcome, Refused):
            show_refusal(self._web, req, resp, outcome)
            return
        begun, options = outcome
        keep_flow(req, resp, begun)
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
                keep_session(req, resp, outcome)
                resp.redirect(outcome.interrupted.path)
            case InvalidCredentials():
                drop(resp, FLOW)
                said = {"passkey": "yes", "return_to": fields.get("return_to", "")}
                redirect_with(self._web, resp, "/sign-in", said)
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
            to_screen(self._web, req, resp, {"passkey": "yes"}, AuthenticatorKind.PASSKEY.value)
        else:
            await self._continue_flow.go(req, resp, outcome)
