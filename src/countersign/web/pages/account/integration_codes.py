"""The part at /account/integration-codes: static codes for programs, which are no one-time codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon

from countersign.domain.accounts.integration_code import LIFETIMES, OVERLAP
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.flows.changes.integration_codes import (
    lifetime_of,
    list_codes,
    make_code,
    name_of,
    revoke_code,
    rotate_code,
)
from countersign.web.http.forms import fields_of, spoken
from countersign.web.pages.account.account_layout import answered, show_part, when

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request, Response

    from countersign.domain.accounts.session import Session
    from countersign.flows.accounts.context import BrowserContext
    from countersign.web.pages.continue_flow import Act, Onward

PATH: Final = "/account/integration-codes"


class IntegrationCodesPage:
    """GET shows them; POST makes one, and to the addresses below renews or revokes one."""

    def __init__(self, onward: Onward) -> None:
        self._onward = onward
        self._door = onward.door

    async def on_get(self, req: Request, resp: Response) -> None:
        """Show them to who is signed in."""
        session = await self._door.session(req, resp, InterruptedRequest("GET", PATH))
        if session is not None:
            await self._show(req, resp, session)

    on_head = on_get

    async def _show(self, req: Request, resp: Response, session: Session, faults: Mapping[str, str] = {}) -> None:
        language = spoken(req)
        show_part(
            self._door,
            req,
            resp,
            "integration_codes.html",
            PATH,
            codes=[
                {
                    "id": one.id,
                    "name": one.name,
                    "scopes": ", ".join(one.scopes),
                    "expires": when(one.expires_at, language),
                    "used": when(one.last_used_at, language) if one.last_used_at else "",
                    "used_from": one.last_used_from,
                }
                for one in await list_codes(self._door.accounts, session.account)
            ],
            offered=self._door.runtime.settings.integration_codes.scopes,
            lifetimes=LIFETIMES,
            faults=faults,
        )

    async def on_post(self, req: Request, resp: Response) -> None:
        """Make one."""
        await self._posted(req, resp, PATH, self.make)

    async def on_post_rotate(self, req: Request, resp: Response) -> None:
        """Renew one."""
        await self._posted(req, resp, f"{PATH}/rotate", self.rotate)

    async def on_post_revoke(self, req: Request, resp: Response) -> None:
        """Revoke one."""
        await self._posted(req, resp, f"{PATH}/revoke", self.revoke)

    async def _posted(self, req: Request, resp: Response, path: str, act: Act) -> None:
        fields = await fields_of(req)
        session = await self._door.session(req, resp, InterruptedRequest("POST", path, tuple(fields.items())))
        if session is not None:
            await act(req, resp, self._door.browser(req), session, fields)

    async def make(
        self, req: Request, resp: Response, browser: BrowserContext, session: Session, fields: Mapping[str, str]
    ) -> None:
        """Ask for the change, and show the code once."""
        language, name = spoken(req), name_of(fields.get("name", ""))
        offered = self._door.runtime.settings.integration_codes.scopes
        scopes = [scope for scope in offered if fields.get(f"scope-{scope}")]
        faults = {} if name else {"name": language.say("Give it a name, so that you know it again.")}
        if not scopes:
            faults["scopes"] = language.say("Choose at least one thing that it may do.")
        if faults:
            resp.status = falcon.HTTP_422
            await self._show(req, resp, session, faults)
            return
        summary = language.say("Make the integration code “{name}”", name=name)
        outcome, code = await make_code(
            self._door.accounts,
            browser,
            session,
            name,
            scopes,
            days=lifetime_of(fields.get("days", "")),
            summary=summary,
        )
        then = InterruptedRequest("POST", PATH, tuple(fields.items()))
        if await answered(self._onward, req, resp, session, outcome, then) is not None:
            self._once(req, resp, name, code, old="")

    async def rotate(
        self, req: Request, resp: Response, browser: BrowserContext, session: Session, fields: Mapping[str, str]
    ) -> None:
        """Ask for the change, and show the new code once."""
        which, language = fields.get("code", ""), spoken(req)
        name = await self._name(session, which)
        summary = language.say("Renew the integration code “{name}”", name=name)
        outcome, code = await rotate_code(self._door.accounts, browser, session, which, summary)
        then = InterruptedRequest("POST", f"{PATH}/rotate", tuple(fields.items()))
        if await answered(self._onward, req, resp, session, outcome, then) is not None:
            until = when(self._door.accounts.now() + OVERLAP, language)
            self._once(req, resp, name, code, old=language.say("The old one works until {when}.", when=until))

    async def revoke(
        self, req: Request, resp: Response, browser: BrowserContext, session: Session, fields: Mapping[str, str]
    ) -> None:
        """Ask for the change."""
        which, language = fields.get("code", ""), spoken(req)
        summary = language.say("Revoke the integration code “{name}”", name=await self._name(session, which))
        outcome = await revoke_code(self._door.accounts, browser, session, which, summary)
        then = InterruptedRequest("POST", f"{PATH}/revoke", tuple(fields.items()))
        done = await answered(self._onward, req, resp, session, outcome, then)
        if done is not None:
            self._door.see(resp, f"{PATH}?done={done.change.kind.value}")

    async def _name(self, session: Session, which: str) -> str:
        return next((one.name for one in await list_codes(self._door.accounts, session.account) if one.id == which), "")

    def _once(self, req: Request, resp: Response, name: str, code: str, *, old: str) -> None:
        show_part(self._door, req, resp, "integration_code.html", PATH, name=name, code=code, old=old)
