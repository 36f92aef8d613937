"""The page at /sign-out: it asks, and its form ends the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign import links
from countersign.flows.accounts.sessions import find_session, sign_out
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import FLOW, SESSION, drop
from countersign.web.pages.shared.done_words import SIGNED_OUT
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.word_pages import show_word

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


class SignOutPage:
    """GET asks, because a link must not sign anybody out; POST ends the session, on the server and in the browser."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Show the button to whoever is signed in."""
        language = language_of(req)
        if await find_session(self._web.accounts, self._web.browser(req)) is None:
            show_word(
                self._web,
                req,
                resp,
                "good",
                language.say("You’re signed out"),
                language.say("Nobody is signed in to {site} on this browser.", site=self._web.settings.site),
                (links.SIGN_IN, language.say("Sign in")),
            )
            return
        show(
            self._web,
            req,
            resp,
            "sign_out.html",
            title=language.say("Do you want to sign out?"),
            action="/sign-out",
            stay=links.ACCOUNT,
            asking="",
            fields={},
        )

    async def post(self, req: Request, resp: Response) -> None:
        """End the session. A second time does nothing."""
        await sign_out(self._web.accounts, self._web.browser(req))
        drop(resp, SESSION)
        drop(resp, FLOW)
        resp.redirect(f"{links.SIGN_IN}?done={SIGNED_OUT}")
