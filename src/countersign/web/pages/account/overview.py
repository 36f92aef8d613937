"""The page at /account: name, contacts, sessions and devices of the signed-in person, and forms to end sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import Level, Method, ProofRequirement, Session, strongest_method
from countersign.flows.accounts.sessions import end_others, end_session, overview
from countersign.flows.changes.forget_browser import forget_browser
from countersign.messages.content.device_name import device_name
from countersign.messages.language.catalogue import Language, mark
from countersign.messages.language.datetimes import day
from countersign.web.http.browser import language_of
from countersign.web.http.problems import ProblemError
from countersign.web.pages.shared.account_layout import show_part, when

if TYPE_CHECKING:
    from countersign.flows.accounts.sessions import Overview
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.change_form import Submission
    from countersign.web.pages.shared.session_guard import SessionGuard

FRESH: Final = ProofRequirement(Level.MAIL_CODE, 15 * 60)
"""The proof for ending another session: a code of the last quarter of an hour (semantics A4, U1)."""

CONFIRMED: Final = {
    Method.PASSWORD: mark("signed in with your password"),
    Method.TRUSTED_DEVICE: mark("signed in on a browser that you trust"),
    Method.MAIL_CODE: mark("confirmed by a code by e-mail"),
    Method.SMS_CODE: mark("confirmed by a code to your phone"),
    Method.VOICE_CODE: mark("confirmed by a code to your phone"),
    Method.APP_CODE: mark("confirmed by your authenticator app"),
    Method.RECOVERY_CODE: mark("confirmed by a recovery code"),
    Method.PASSKEY: mark("confirmed by your passkey"),
    Method.SECURITY_KEY: mark("confirmed by your passkey"),
}
"""How the person has proved the present level of the session."""


class AccountPage:
    """The whole account, or one of its parts at an address of its own."""

    def __init__(self, web: WebContext, guard: SessionGuard, path: str = "/account") -> None:
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
        language, now = language_of(req), self._web.accounts.now()
        show_part(
            self._web,
            req,
            resp,
            "account.html",
            self._path,
            name=found.name,
            level=language.say(CONFIRMED[strongest_method(session, now)]),
            contacts=[
                (contact.kind.value, contact.masked, contact.primary, contact.proved_at is not None)
                for contact in found.contacts
            ],
            sessions=_sessions(found, session, language),
            browsers=_browsers(found, session, language, now),
        )


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
            "here": one.token_hash == session.device_token_hash,
            "device": device_name(one.user_agent, language.tag)
            or language.say("A browser that does not say what it is"),
            "until": language.say("Trusted until {day}", day=day(one.trusted_until, "UTC", language.locale))
            if one.trusted(now)
            else "",
        }
        for one in found.devices
    ]
