"""The page at /account: who is signed in, the contacts, and where the person is signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.deletion import is_deletion_pending
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import Method, strongest_method
from countersign.flows.accounts.contact_names import contact_names
from countersign.flows.accounts.sessions import overview
from countersign.messages.language.catalogue import mark
from countersign.messages.language.datetimes import day
from countersign.store.tables import accounts as account_rows
from countersign.web.http.browser import language_of
from countersign.web.pages.account.browsers import listed_browsers
from countersign.web.pages.shared.account_layout import show_part

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.session_guard import SessionGuard

PATH: Final = "/account"

CONFIRMED: Final = {
    Method.PASSWORD: mark("signed in with your password"),
    Method.TRUSTED_DEVICE: mark("signed in on a browser you trust"),
    Method.MAIL_CODE: mark("signed in and confirmed with a code by email"),
    Method.SMS_CODE: mark("signed in and confirmed with a code to your phone"),
    Method.VOICE_CODE: mark("signed in and confirmed with a code to your phone"),
    Method.APP_CODE: mark("signed in and confirmed with your authenticator app"),
    Method.RECOVERY_CODE: mark("signed in and confirmed with a recovery code"),
    Method.PASSKEY: mark("signed in and confirmed with your passkey"),
    Method.SECURITY_KEY: mark("signed in and confirmed with your passkey"),
}
"""How the person has proved the present level of the session."""


class AccountPage:
    """The first page of the account."""

    def __init__(self, web: WebContext, guard: SessionGuard) -> None:
        self._web = web
        self._guard = guard

    async def get(self, req: Request, resp: Response) -> None:
        """Show the page to a signed-in person."""
        session = await self._guard.session(req, resp, InterruptedRequest("GET", PATH))
        if session is None:
            return
        accounts = self._web.accounts
        found, account = (
            await overview(accounts, session),
            await accounts.database.read(account_rows.find, session.account),
        )
        if found is None or account is None:
            resp.redirect("/sign-in")
            return
        language, now, names = language_of(req), accounts.now(), await contact_names(accounts, session)
        show_part(
            self._web,
            req,
            resp,
            "account.html",
            PATH,
            name=found.name,
            level=language.say(CONFIRMED[strongest_method(session, now)]),
            contacts=[(one.kind.value, names.of(one.id), one.primary) for one in found.contacts],
            whole=names.whole,
            **listed_browsers(found, session, language, now),
            due=day(account.deletion_at or 0, language.timezone, language.locale)
            if is_deletion_pending(account)
            else "",
        )
