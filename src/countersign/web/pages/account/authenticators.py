"""The part at /account/methods: passkeys, authenticator apps and recovery codes: what there is, adding one, removing one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon
import markupsafe

from countersign.domain.accounts.authenticator import STRONG_KINDS, AuthenticatorKind
from countersign.domain.accounts.change import ChangeKind, ChangeRefusal
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.accounts.sessions import overview
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.enrol import begin_app, draft_app, finish_app, make_recovery_codes, named
from countersign.flows.changes.request import ChangeRequest
from countersign.flows.sign_in.authenticator import FEW_RECOVERY_CODES, InvalidCode
from countersign.totp import address, picture, shown
from countersign.web.http.cookies import VISIT, drop
from countersign.web.http.forms import fields_of, spoken
from countersign.web.pages.account.account_layout import answered, carry_out, show_part, when

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request, Response

    from countersign.domain.accounts.session import Session
    from countersign.flows.accounts.context import BrowserContext
    from countersign.web.pages.continue_flow import Act, Onward

PATH: Final = "/account/methods"


class MethodsPage:
    """GET shows what there is; POST to the addresses below begins an app, shows that it works, makes recovery codes, removes one."""

    def __init__(self, onward: Onward) -> None:
        self._onward = onward
        self._door = onward.door

    async def on_get(self, req: Request, resp: Response) -> None:
        """Show them to who is signed in."""
        session = await self._door.session(req, resp, InterruptedRequest("GET", PATH))
        if session is None:
            return
        holdings = await self._door.accounts.database.read(find_snapshot, session.account)
        if holdings is None:
            self._door.see(resp, "/sign-in")
            return
        language, unseal = spoken(req), self._door.accounts.keyring.unseal
        show_part(
            self._door,
            req,
            resp,
            "methods.html",
            PATH,
            methods=[
                {
                    "id": one.id,
                    "kind": one.kind.value,
                    "name": unseal(one.name, one.id),
                    "added": when(one.added_at, language),
                    "used": when(one.last_used_at, language) if one.last_used_at else "",
                }
                for one in holdings.authenticators
                if one.kind in STRONG_KINDS
            ],
            left=holdings.recovery_codes,
            few=holdings.recovery_codes < FEW_RECOVERY_CODES,
            has_passkey=any(one.kind is AuthenticatorKind.PASSKEY for one in holdings.authenticators),
        )

    on_head = on_get

    async def on_post_app(self, req: Request, resp: Response) -> None:
        """Begin to set up an app."""
        await self._posted(req, resp, f"{PATH}/app", self.begin_app)

    async def on_post_recovery_codes(self, req: Request, resp: Response) -> None:
        """Make new recovery codes."""
        await self._posted(req, resp, f"{PATH}/recovery-codes", self.make_codes)

    async def on_post_remove(self, req: Request, resp: Response) -> None:
        """Remove a passkey or an app."""
        await self._posted(req, resp, f"{PATH}/remove", self.remove)

    async def _posted(self, req: Request, resp: Response, path: str, act: Act) -> None:
        fields = await fields_of(req)
        session = await self._door.session(req, resp, InterruptedRequest("POST", path, tuple(fields.items())))
        if session is not None:
            await act(req, resp, self._door.browser(req), session, fields)

    async def begin_app(
        self, req: Request, resp: Response, browser: BrowserContext, session: Session, fields: Mapping[str, str]
    ) -> None:
        """Ask for the proof, then show what the app needs."""
        summary = spoken(req).say("Add the authenticator app “{name}”", name=named(fields.get("name", "")))
        begun = await begin_app(self._door.accounts, browser, session, fields.get("name", ""), summary)
        then = InterruptedRequest("POST", f"{PATH}/app", tuple(fields.items()))
        match begun:
            case CodeRequested():
                self._door.to_verify(resp, begun)
                self._door.see(resp, f"{PATH}/app")
            case ProofRequirement():
                await self._door.ask_for(req, resp, session, begun, then)
            case ChangeRefusal():
                self._onward.refused(req, resp, begun)

    async def on_get_app(self, req: Request, resp: Response) -> None:
        """Show the picture that the app reads, and ask for its first code."""
        session = await self._door.session(req, resp, InterruptedRequest("GET", PATH))
        if session is not None:
            await self._show_app(req, resp, session, "")

    async def _show_app(self, req: Request, resp: Response, session: Session, fault: str) -> None:
        context = self._door.accounts
        draft = await draft_app(context, self._door.browser(req), session)
        found = await overview(context, session)
        if draft is None or found is None:
            self._door.see(resp, PATH)
            return
        masked = next((one.masked for one in found.contacts if one.primary), "")
        where = address(draft.secret, self._door.runtime.settings.site, masked)
        show_part(
            self._door,
            req,
            resp,
            "app.html",
            PATH,
            picture=markupsafe.Markup(picture(where)),  # noqa: S704 - drawn here, of squares alone
            secret=shown(draft.secret),
            link=where,
            fault=fault,
        )

    async def on_post_confirm(self, req: Request, resp: Response) -> None:
        """Take the app's first code."""
        fields = await fields_of(req)
        session = await self._door.session(req, resp, InterruptedRequest("GET", PATH))
        if session is None:
            return
        outcome = await finish_app(self._door.accounts, self._door.browser(req), session, fields.get("code", ""))
        match outcome:
            case Applied(change):
                self._door.accounts.database.announce()
                drop(resp, VISIT)
                self._door.see(resp, f"{PATH}?done={change.kind.value}")
            case InvalidCode():
                resp.status = falcon.HTTP_422
                fault = spoken(req).say(
                    "This is not the code. Look whether the clock of your phone is right, and wait for the next code."
                )
                await self._show_app(req, resp, session, fault)
            case ChangeRefusal():
                self._onward.refused(req, resp, outcome)
            case _:
                self._onward.nothing(req, resp)

    async def make_codes(
        self, req: Request, resp: Response, browser: BrowserContext, session: Session, fields: Mapping[str, str]
    ) -> None:
        """Ask for the change, and show the codes once."""
        summary = spoken(req).say("Make new recovery codes")
        outcome, made = await make_recovery_codes(self._door.accounts, browser, session, summary)
        then = InterruptedRequest("POST", f"{PATH}/recovery-codes", tuple(fields.items()))
        if await answered(self._onward, req, resp, session, outcome, then) is not None:
            show_part(self._door, req, resp, "recovery_codes.html", PATH, codes=made.codes)

    async def remove(
        self, req: Request, resp: Response, browser: BrowserContext, session: Session, fields: Mapping[str, str]
    ) -> None:
        """Ask for the change."""
        which, context = fields.get("method", ""), self._door.accounts
        holdings = await context.database.read(find_snapshot, session.account)
        factor = next((one for one in (holdings.authenticators if holdings else ()) if one.id == which), None)
        name = context.keyring.unseal(factor.name, factor.id) if factor is not None and factor.name else ""
        wanted = ChangeRequest(ChangeKind.METHOD_REMOVED, which, name, spoken(req).say("Remove “{name}”", name=name))
        then = InterruptedRequest("POST", f"{PATH}/remove", tuple(fields.items()))
        if await carry_out(self._onward, req, resp, browser, session, wanted, then) is not None:
            self._door.see(resp, f"{PATH}?done={wanted.kind.value}")
