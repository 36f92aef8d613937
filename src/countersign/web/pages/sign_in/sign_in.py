"""The page at /sign-in: who, and the password, then a code unless the account trusts this browser; and the way out at /sign-out."""

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
from countersign.flows.sign_in.sign_in import sign_in
from countersign.flows.verifications.results import Refused
from countersign.messages.content.risk_reasons import reason
from countersign.web.http.cookies import SESSION, VISIT, drop
from countersign.web.http.forms import fields_of, spoken

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from countersign.web.pages.session_guard import Door


class SignInPage:
    """GET shows the form, POST looks at the password."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def on_get(self, req: Request, resp: Response) -> None:
        """Show the form; who is signed in goes on at once."""
        wanted = req.get_param("return_to") or ""
        if await find_session(self._door.accounts, self._door.browser(req)) is not None:
            self._door.see(resp, await self._door.return_to(wanted))
            return
        await self._show(req, resp, "", wanted)

    on_head = on_get

    async def on_post(self, req: Request, resp: Response) -> None:
        """Let in, ask for a code, or say that it did not work: the same for unknown, wrong, locked and disabled (semantics S1)."""
        fields = await fields_of(req)
        wanted = fields.get("return_to", "")
        then = InterruptedRequest(path=await self._door.return_to(wanted))
        outcome = await sign_in(
            self._door.accounts, self._door.browser(req), fields.get("identifier", ""), fields.get("password", ""), then
        )
        match outcome:
            case CodeRequested():
                self._door.to_verify(resp, outcome)
            case SignedIn():
                self._door.enter(resp, outcome)
                self._door.see(resp, outcome.interrupted.path)
            case InvalidCredentials():
                resp.status = falcon.HTTP_422
                await self._show(req, resp, fields.get("identifier", ""), wanted, wrong=True)
            case SignInDenied(reasons):
                resp.status = falcon.HTTP_403
                language = spoken(req)
                self._door.show(
                    req,
                    resp,
                    "word.html",
                    tone="bad",
                    title=language.say("You cannot sign in from here"),
                    sentence=reason(reasons, language),
                    link="/sign-in",
                    label=language.say("Try again"),
                )
            case Refused() | NoEligibleMethod():
                self._door.refuse(req, resp, outcome)

    async def _show(
        self, req: Request, resp: Response, identifier: str, return_to: str, *, wrong: bool = False
    ) -> None:
        self._door.show(
            req,
            resp,
            "sign_in.html",
            identifier=identifier,
            return_to=return_to,
            wrong=wrong,
            form_action=await self._door.leads_to(return_to),
        )


class SignOutPage:
    """POST ends the session, on the server and in the browser."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def on_post(self, req: Request, resp: Response) -> None:
        """End the session; twice is once."""
        await sign_out(self._door.accounts, self._door.browser(req))
        drop(resp, SESSION)
        drop(resp, VISIT)
        self._door.see(resp, "/sign-in")
