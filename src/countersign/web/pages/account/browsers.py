"""The page at /account/sessions: the browsers that are signed in or remembered, and forms to sign them out and forget them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import Level, ProofRequirement, Session
from countersign.flows.accounts.sessions import end_others, end_session, overview
from countersign.flows.changes.forget_browser import forget_browser
from countersign.messages.content.device_name import device_name
from countersign.messages.content.place_name import place_name
from countersign.messages.language.datetimes import day
from countersign.web.http.browser import language_of
from countersign.web.http.problems import ProblemError
from countersign.web.pages.shared.account_layout import show_part, when

if TYPE_CHECKING:
    from countersign.domain.accounts.device import Device
    from countersign.flows.accounts.sessions import Overview
    from countersign.messages.language.catalogue import Language
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.change_form import Submission
    from countersign.web.pages.shared.session_guard import SessionGuard

PATH: Final = "/account/sessions"

FRESH: Final = ProofRequirement(Level.MAIL_CODE, 15 * 60)
"""The proof for ending another session: a code of the last quarter of an hour (semantics A4, U1)."""


class BrowsersPage:
    """Every browser in one list, at either of two addresses."""

    def __init__(self, web: WebContext, guard: SessionGuard, path: str = PATH) -> None:
        self._web = web
        self._guard = guard
        self._path = path

    async def get(self, req: Request, resp: Response) -> None:
        """Show the page to a signed-in person."""
        session = await self._guard.session(req, resp, InterruptedRequest("GET", self._path))
        if session is None:
            return
        found = await overview(self._web.accounts, session)
        if found is None:
            resp.redirect("/sign-in")
            return
        listed = listed_browsers(found, session, language_of(req), self._web.accounts.now())
        show_part(self._web, req, resp, "browsers.html", self._path, **listed)


class EndForm:
    """Ends a session (`session`), all others (`others`), or forgets a browser (`browser`). Each needs a fresh code."""

    def __init__(self, web: WebContext, guard: SessionGuard) -> None:
        self._web = web
        self._guard = guard

    async def submit(self, form: Submission) -> None:
        """Ask for the code, or act at once after a recent one."""
        if await self._guard.admits(form.req, form.resp, form.session, FRESH, form.then):
            await self.end(form)

    async def end(self, form: Submission) -> None:
        """End it, and show the account again."""
        accounts, session, fields = self._web.accounts, form.session, form.fields
        if fields.get("session"):
            done = "session" if await end_session(accounts, session, fields["session"]) else "nothing"
        elif fields.get("browser"):
            done = "browser" if await forget_browser(accounts, session, fields["browser"]) else "nothing"
        elif fields.get("others"):
            done = "others" if await end_others(accounts, session) else "nothing"
        else:
            raise ProblemError("malformed")
        form.resp.redirect(f"/account?done={done}")


def listed_browsers(found: Overview, session: Session, language: Language, now: int) -> dict[str, Any]:
    """Return what `_browsers.html` is filled with."""
    return {
        "browsers": _browsers(found, session, language, now),
        "others": sum(one.id != session.id for one in found.sessions),
    }


def _browsers(found: Overview, session: Session, language: Language, now: int) -> list[dict[str, Any]]:
    """Return each browser with its sessions: this one first, then those that are signed in, the last seen first."""
    listed: list[dict[str, Any]] = []
    sessions = {one.device_token_hash: one for one in reversed(found.sessions)}
    for device in found.devices:
        own = sessions.pop(device.token_hash, None)
        seen = own.last_seen_at if own is not None else device.last_seen_at
        trusted = language.say("Trusted until {day}", day=day(device.trusted_until, language.timezone, language.locale))
        listed.append(
            {
                "here": device.token_hash == session.device_token_hash,
                "session": own.id if own is not None else "",
                "browser": device.id,
                "device": _device(device.user_agent, language),
                "place": _place(own or device, language),
                "seen": when(seen, language),
                "until": trusted if device.trusted(now) else "",
                "at": seen,
            }
        )
    listed += [
        {
            "here": one.id == session.id,
            "session": one.id,
            "browser": "",
            "device": _device(one.user_agent, language),
            "place": _place(one, language),
            "seen": when(one.last_seen_at, language),
            "until": "",
            "at": one.last_seen_at,
        }
        for one in sessions.values()
    ]
    return sorted(listed, key=lambda one: (not one["here"], not one["session"], -one["at"]))


def _device(user_agent: str, language: Language) -> str:
    return device_name(user_agent, language.tag) or language.say("Unknown browser")


def _place(seen: Session | Device, language: Language) -> str:
    return place_name(seen.place, seen.ip, language) or language.say("Unknown location")
