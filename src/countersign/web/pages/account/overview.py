"""The page at /account: who is signed in, with which contacts, on which browsers, and the ways to end what should not be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import Level, ProofRequirement, Session, current_level
from countersign.flows.accounts.sessions import end_device, end_others, end_session, overview
from countersign.messages.content.device_name import device_name
from countersign.messages.language.catalogue import Language, mark
from countersign.messages.language.datetimes import day
from countersign.web.http.forms import fields_of, spoken
from countersign.web.pages.account.account_layout import show_part, when

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request, Response

    from countersign.flows.accounts.context import BrowserContext
    from countersign.flows.accounts.sessions import Overview
    from countersign.web.pages.session_guard import Door

FRESH: Final = ProofRequirement(Level.MAIL_CODE, 15 * 60)
"""What ending another's session asks for: a code within the last quarter of an hour (semantics A4, U1)."""

LEVELS: Final = {
    Level.PASSWORD: mark("signed in with your password"),
    Level.TRUSTED_DEVICE: mark("signed in on a browser that you trust"),
    Level.MAIL_CODE: mark("confirmed by a code by e-mail"),
    Level.PHONE_CODE: mark("confirmed by a code to your phone"),
    Level.APP_CODE: mark("confirmed by your authenticator app"),
    Level.PASSKEY: mark("confirmed by your passkey"),
}


class AccountPage:
    """GET shows the account; at an address of its own, one of its parts."""

    def __init__(self, door: Door, path: str = "/account") -> None:
        self._door = door
        self._path = path

    async def on_get(self, req: Request, resp: Response) -> None:
        """Show it to who is signed in."""
        session = await self._door.session(req, resp, InterruptedRequest("GET", self._path))
        if session is None:
            return
        found = await overview(self._door.accounts, session)
        if found is None:
            self._door.see(resp, "/sign-in")
            return
        language, now = spoken(req), self._door.accounts.now()
        show_part(
            self._door,
            req,
            resp,
            "account.html",
            self._path,
            name=found.name,
            level=language.say(LEVELS[current_level(session, now)]),
            contacts=[
                (contact.kind.value, contact.masked, contact.primary, contact.proved_at is not None)
                for contact in found.contacts
            ],
            sessions=_sessions(found, session, language),
            browsers=_browsers(found, session, language, now),
        )

    on_head = on_get


class EndPage:
    """POST ends a session (`session`), all others (`others`), or forgets a browser (`browser`); each asks for a fresh code."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def on_post(self, req: Request, resp: Response) -> None:
        """End it, or ask for the code first; the form goes on by itself afterwards."""
        fields = await fields_of(req)
        then = InterruptedRequest("POST", "/account/end", tuple(fields.items()))
        session = await self._door.session(req, resp, then)
        if session is None or not await self._door.admits(req, resp, session, FRESH, then):
            return
        await self.act(req, resp, self._door.browser(req), session, fields)

    async def act(
        self, _: Request, resp: Response, __: BrowserContext, session: Session, fields: Mapping[str, str]
    ) -> None:
        """Carry it out, and show the account again."""
        context = self._door.accounts
        if fields.get("session"):
            done = "session" if await end_session(context, session, fields["session"]) else "nothing"
        elif fields.get("browser"):
            done = "browser" if await end_device(context, session, fields["browser"]) else "nothing"
        elif fields.get("others"):
            done = "others" if await end_others(context, session) else "nothing"
        else:
            raise falcon.HTTPBadRequest
        self._door.see(resp, f"/account?done={done}")


def _sessions(found: Overview, session: Session, language: Language) -> list[dict[str, object]]:
    return [
        {
            "id": one.id,
            "here": one.id == session.id,
            "device": device_name(one.user_agent, language.tag)
            or language.say("A browser that does not say what it is"),
            "place": one.place or one.ip,
            "seen": when(one.last_seen_at, language),
            "since": when(one.created_at, language),
        }
        for one in found.sessions
    ]


def _browsers(found: Overview, session: Session, language: Language, now: int) -> list[dict[str, object]]:
    return [
        {
            "id": one.id,
            "here": one.mark == session.device,
            "device": device_name(one.user_agent, language.tag)
            or language.say("A browser that does not say what it is"),
            "until": language.say("Trusted until {day}", day=day(one.trusted_until, "UTC", language.locale))
            if one.trusted(now)
            else "",
        }
        for one in found.devices
    ]
