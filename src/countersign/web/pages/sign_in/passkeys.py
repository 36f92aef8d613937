"""Where a browser makes and uses passkeys: below /account/methods, /sign-in and /verify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.accounts.context import CodeRequested, InvalidCredentials, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.enrol import named
from countersign.flows.sign_in.passkeys import (
    begin_passkey_enrolment,
    begin_passkey_proof,
    begin_passkey_sign_in,
    finish_passkey_enrolment,
    passkey_enrolment_options,
    prove_with_passkey,
    sign_in_with_passkey,
)
from countersign.flows.verifications.results import Refused
from countersign.web.http.cookies import DEVICE, DEVICE_KEPT, VISIT, VISIT_KEPT, drop, keep
from countersign.web.http.forms import fields_of, spoken
from countersign.web.pages.account.account_layout import show_part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request, Response

    from countersign.domain.accounts.session import Session
    from countersign.flows.accounts.context import BrowserContext
    from countersign.web.pages.continue_flow import Onward
    from countersign.web.pages.sign_in.authenticator import ProvePage

METHODS: Final = "/account/methods"
PATH: Final = f"{METHODS}/passkey"


class PasskeyPages:
    """POST begins each of the three, and hands the browser what it needs as JSON; a further POST takes its answer."""

    def __init__(self, onward: Onward, prove: ProvePage) -> None:
        self._onward = onward
        self._door = onward.door
        self._prove = prove

    async def on_post(self, req: Request, resp: Response) -> None:
        """Begin to enrol one: approved first, then made on the page that follows."""
        fields = await fields_of(req)
        session = await self._door.session(req, resp, InterruptedRequest("POST", PATH, tuple(fields.items())))
        if session is not None:
            await self.begin(req, resp, self._door.browser(req), session, fields)

    async def begin(
        self, req: Request, resp: Response, browser: BrowserContext, session: Session, fields: Mapping[str, str]
    ) -> None:
        """Ask for the proof, then lead to where the browser makes it."""
        name = fields.get("name", "")
        summary = spoken(req).say("Add the passkey “{name}”", name=named(name, "Passkey"))
        begun = await begin_passkey_enrolment(self._door.accounts, browser, session, name, summary)
        match begun:
            case CodeRequested():
                self._door.to_verify(resp, begun)
                self._door.see(resp, PATH)
            case ProofRequirement():
                then = InterruptedRequest("POST", PATH, tuple(fields.items()))
                await self._door.ask_for(req, resp, session, begun, then)
            case ChangeRefusal():
                self._onward.refused(req, resp, begun)

    async def on_get(self, req: Request, resp: Response) -> None:
        """Show the page on which the browser makes it."""
        await self._making(req, resp, fault="")

    async def _making(self, req: Request, resp: Response, *, fault: str) -> None:
        session = await self._door.session(req, resp, InterruptedRequest("GET", METHODS))
        if session is None:
            return
        if await passkey_enrolment_options(self._door.accounts, self._door.browser(req), session) is None:
            self._door.see(resp, METHODS)
            return
        show_part(self._door, req, resp, "passkey.html", METHODS, fault=fault)

    async def on_post_options(self, req: Request, resp: Response) -> None:
        """Hand the browser what it needs to make one."""
        session = await self._door.session(req, resp, InterruptedRequest("GET", METHODS))
        if session is not None:
            _json(resp, await passkey_enrolment_options(self._door.accounts, self._door.browser(req), session))

    async def on_post_made(self, req: Request, resp: Response) -> None:
        """Take what the browser made."""
        fields = await fields_of(req)
        session = await self._door.session(req, resp, InterruptedRequest("GET", METHODS))
        if session is None:
            return
        outcome = await finish_passkey_enrolment(
            self._door.accounts, self._door.browser(req), session, fields.get("credential", "")
        )
        match outcome:
            case Applied(change):
                self._door.accounts.database.announce()
                drop(resp, VISIT)
                self._door.see(resp, f"{METHODS}?done={change.kind.value}")
            case InvalidCredentials():
                resp.status = falcon.HTTP_422
                await self._making(req, resp, fault=spoken(req).say("This passkey could not be taken. Try again."))
            case ChangeRefusal():
                self._onward.refused(req, resp, outcome)
            case _:
                self._onward.nothing(req, resp)

    async def on_post_sign_in_begin(self, req: Request, resp: Response) -> None:
        """Hand the browser what it needs to sign in."""
        fields = await fields_of(req)
        then = InterruptedRequest(path=await self._door.return_to(fields.get("return_to", "")))
        begun, options = await begin_passkey_sign_in(self._door.accounts, self._door.browser(req), then)
        keep(resp, DEVICE, begun.device, DEVICE_KEPT)
        keep(resp, VISIT, begun.flow, VISIT_KEPT)
        _json(resp, options)

    async def on_post_sign_in(self, req: Request, resp: Response) -> None:
        """Let the person in."""
        fields = await fields_of(req)
        outcome = await sign_in_with_passkey(self._door.accounts, self._door.browser(req), fields.get("credential", ""))
        match outcome:
            case SignedIn():
                self._door.enter(resp, outcome)
                self._door.see(resp, outcome.interrupted.path)
            case InvalidCredentials():
                language = spoken(req)
                resp.status = falcon.HTTP_422
                drop(resp, VISIT)
                self._onward.word(
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
                self._door.refuse(req, resp, outcome)

    async def on_post_verify_begin(self, req: Request, resp: Response) -> None:
        """Hand the browser what it needs to prove what is under way."""
        await fields_of(req)
        _json(resp, await begin_passkey_proof(self._door.accounts, self._door.browser(req)))

    async def on_post_verify(self, req: Request, resp: Response) -> None:
        """Judge its answer."""
        fields = await fields_of(req)
        remember = fields.get("remember", "") not in {"", "no"}
        outcome = await prove_with_passkey(
            self._door.accounts, self._door.browser(req), fields.get("credential", ""), remember=remember
        )
        if isinstance(outcome, InvalidCredentials):
            resp.status = falcon.HTTP_422
            fault = spoken(req).say("This passkey does not belong to your account, or it was not confirmed. Try again.")
            await self._prove.again(req, resp, AuthenticatorKind.PASSKEY, fault)
        else:
            await self._onward.go(req, resp, outcome)


def _json(resp: Response, options: str | None) -> None:
    if options is None:
        raise falcon.HTTPNotFound
    resp.content_type = "application/json"
    resp.text = options
