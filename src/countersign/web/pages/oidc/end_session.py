"""RP-Initiated Logout 1.0, at /oauth/sign-out: an application asks for the person to be signed out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from countersign import links
from countersign.domain.oidc.authorization_request import MAX_PARAMETER, fits_in_address
from countersign.flows.accounts.sessions import find_session, sign_out
from countersign.messages.custom.sanitize import MAX_SITE, one_line
from countersign.store.tables import applications
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import FLOW, SESSION, drop
from countersign.web.http.forms import fields_of
from countersign.web.pages.oidc.authorization import params_of, show_wrong_link
from countersign.web.pages.shared.leave import leave_for, origin_of
from countersign.web.pages.shared.rendering import show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.domain.shared.application import Application
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

PARAMETERS: Final = ("id_token_hint", "post_logout_redirect_uri", "state", "client_id")


class EndSessionPage:
    """GET asks the person, unless an ID token names this very session. A form of another site asks too; our own signs out."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Sign out if the client sent an ID token of this very session; otherwise ask the person."""
        params = params_of(req.query_string) or {}
        session = await find_session(self._web.accounts, self._web.browser(req))
        claims = self._web.keyring.verified_identity(params.get("id_token_hint", ""))
        if session is None or (claims is not None and claims.get("sid") == session.id):
            await self._leave(req, resp, params)
        else:
            await self._ask(req, resp, params)

    async def post(self, req: Request, resp: Response) -> None:
        """Sign out if our own page asked the person; otherwise ask now (semantics H5).

        A form of another site brings no cookie of this one, so whose session it means is known only once the person has pressed the button.
        """
        params = await fields_of(req)
        if self._web.cross_origin.refuses(req):
            await self._ask(req, resp, params)
        else:
            await self._leave(req, resp, params)

    async def _ask(self, req: Request, resp: Response, params: Mapping[str, str]) -> None:
        if self._is_too_long(req, resp, params):
            return
        language = language_of(req)
        client = await self._client(params)
        back = _back(client, params)
        show(
            self._web,
            req,
            resp,
            "sign_out.html",
            title=language.say("Do you want to sign out?"),
            action="/oauth/sign-out",
            stay=links.ACCOUNT,
            asking=one_line(client.site, MAX_SITE) if client is not None else "",
            fields={name: params[name] for name in PARAMETERS if name in params},
            form_action=origin_of(back) if back else "",
        )

    async def _leave(self, req: Request, resp: Response, params: Mapping[str, str]) -> None:
        if self._is_too_long(req, resp, params):
            return
        back = _back(await self._client(params), params)
        await sign_out(self._web.accounts, self._web.browser(req))
        drop(resp, SESSION)
        drop(resp, FLOW)
        if back:
            leave_for(self._web, req, resp, back)
        else:
            resp.redirect(links.SIGN_IN)

    def _is_too_long(self, req: Request, resp: Response, params: Mapping[str, str]) -> bool:
        """Refuse a `state` that could not be sent back to the letter, before anything is done."""
        state = params.get("state", "")
        if len(state) <= MAX_PARAMETER and fits_in_address(state):
            return False
        show_wrong_link(self._web, req, resp, "The state is too long to be sent back. (invalid_request)")
        return True

    async def _client(self, params: Mapping[str, str]) -> Application | None:
        """Return the client of the ID token hint, or else that of `client_id`."""
        claims = self._web.keyring.verified_identity(params.get("id_token_hint", ""))
        client_id = str(claims["aud"]) if claims else params.get("client_id", "")
        client = await self._web.database.read(applications.find, client_id) if client_id else None
        return client if client is not None and client.removed_at is None else None


def _back(client: Application | None, params: Mapping[str, str]) -> str:
    """Return the redirect URI: one that the client registered for sign-out, compared exactly."""
    wanted = params.get("post_logout_redirect_uri", "")
    if client is None or not wanted or wanted not in client.post_logout_redirect_uris:
        return ""
    state = params.get("state", "")
    return f"{wanted}{'&' if '?' in wanted else '?'}{urlencode({'state': state})}" if state else wanted
