"""The part at /account/password: a new password, approved by a code, which ends everything that is signed in elsewhere."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Final

import falcon

from countersign.domain.accounts.change import ChangeKind
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.password import normalize_password
from countersign.errors import CountersignError
from countersign.flows.accounts.sessions import overview
from countersign.flows.changes.request import ChangeRequest
from countersign.flows.sign_in.sign_up import find_password_fault
from countersign.web.http.forms import fields_of, spoken
from countersign.web.pages.account.account_layout import carry_out, show_part
from countersign.web.pages.sign_in.sign_up import FAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request, Response

    from countersign.domain.accounts.session import Session
    from countersign.flows.accounts.context import BrowserContext
    from countersign.web.pages.continue_flow import Onward

PATH: Final = "/account/password"


class PasswordPage:
    """GET shows the form, POST changes the password."""

    def __init__(self, onward: Onward) -> None:
        self._onward = onward
        self._door = onward.door

    async def on_get(self, req: Request, resp: Response) -> None:
        """Show the form."""
        if await self._door.session(req, resp, InterruptedRequest("GET", PATH)) is not None:
            self._show(req, resp, "")

    on_head = on_get

    def _show(self, req: Request, resp: Response, fault: str) -> None:
        show_part(
            self._door,
            req,
            resp,
            "password.html",
            PATH,
            fault=fault,
            least=str(self._door.accounts.password_min_length),
        )

    async def on_post(self, req: Request, resp: Response) -> None:
        """Look at the new password, and ask for the proof: while that is waited for, its hash alone is kept, sealed."""
        fields = await fields_of(req)
        session = await self._door.session(req, resp, InterruptedRequest("GET", PATH))
        if session is None:
            return
        context, password = self._door.accounts, normalize_password(fields.get("password", ""))
        found = await overview(context, session)
        if fault := await find_password_fault(context, password, (found.name,) if found is not None else ()):
            language = spoken(req)
            resp.status = falcon.HTTP_422
            self._show(req, resp, language.say(FAULTS[fault], least=str(context.password_min_length)))
            return
        hashed = await context.passwords.hash(password)
        sealed = base64.b64encode(context.keyring.seal(hashed, session.id)).decode()
        await self.act(req, resp, self._door.browser(req), session, {"sealed": sealed})

    async def act(
        self, req: Request, resp: Response, browser: BrowserContext, session: Session, fields: Mapping[str, str]
    ) -> None:
        """Ask for the change, with a hash that we sealed for this very session."""
        try:
            hashed = self._door.accounts.keyring.unseal(base64.b64decode(fields.get("sealed", "")), session.id)
        except (binascii.Error, ValueError, CountersignError):
            raise falcon.HTTPBadRequest from None
        wanted = ChangeRequest(
            ChangeKind.PASSWORD_CHANGED,
            hashlib.sha256(hashed.encode()).hexdigest(),
            summary=spoken(req).say("Change the password of your account"),
            password=hashed,
        )
        then = InterruptedRequest("POST", PATH, tuple(fields.items()))
        if await carry_out(self._onward, req, resp, browser, session, wanted, then) is not None:
            self._door.see(resp, f"{PATH}?done={wanted.kind.value}")
