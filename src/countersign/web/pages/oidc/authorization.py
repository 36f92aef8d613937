"""The two pages of OpenID Connect that a person's browser visits: /oauth/authorize and /oauth/sign-out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import falcon

from countersign.domain.oidc.authorization_request import AuthorizationErrorResponse
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.accounts.sessions import find_session, sign_out
from countersign.flows.oidc.authorize import RedirectToClient, SignInRequired, authorize
from countersign.flows.verifications.results import Refused
from countersign.store.tables import applications
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import FLOW, SESSION, drop
from countersign.web.http.forms import fields_of, pairs_of
from countersign.web.pages.shared.destinations import to_verification
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.word_pages import HOME, show_refusal, show_word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

MAX_FIELDS: Final = 40


class AuthorizePage:
    """Answers an authorization request."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Redirect the person back to the client, or to what is missing."""
        params = _params(req)
        outcome: object
        if params is None:
            outcome = AuthorizationErrorResponse(
                "invalid_request", "A parameter comes twice, or the query is malformed."
            )
        else:
            outcome = await authorize(self._web.accounts, self._web.browser(req), params)
        match outcome:
            case RedirectToClient(location):
                resp.redirect(location)
            case SignInRequired(path):
                resp.redirect(f"/sign-in?return_to={quote(path, safe='/')}")
            case CodeRequested():
                to_verification(req, resp, outcome)
            case Refused():
                show_refusal(self._web, req, resp, outcome)
            case AuthorizationErrorResponse(error, description):
                resp.status = falcon.HTTP_400
                language = language_of(req)
                show_word(
                    self._web,
                    req,
                    resp,
                    "warn",
                    language.say("The link that led here is not right"),
                    f"{description} ({error})",
                    (HOME, language.say("To your account")),
                )


class EndSessionPage:
    """RP-Initiated Logout 1.0. GET asks, unless an ID token names this very session; POST signs out."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Sign out if the client sent an ID token of this very session; otherwise ask the person."""
        params = _params(req) or {}
        session = await find_session(self._web.accounts, self._web.browser(req))
        claims = self._web.keyring.verified_identity(params.get("id_token_hint", ""))
        if session is None or (claims is not None and claims.get("sid") == session.id):
            await self._leave(req, resp, params)
            return
        language = language_of(req)
        back = await self._back(params)
        show(
            self._web,
            req,
            resp,
            "sign_out.html",
            title=language.say("Do you want to sign out?"),
            fields={
                name: params[name]
                for name in ("id_token_hint", "post_logout_redirect_uri", "state", "client_id")
                if name in params
            },
            form_action=_origin(back) if back else "",
        )

    async def post(self, req: Request, resp: Response) -> None:
        """Sign out."""
        await self._leave(req, resp, await fields_of(req))

    async def _leave(self, req: Request, resp: Response, params: Mapping[str, str]) -> None:
        back = await self._back(params)
        await sign_out(self._web.accounts, self._web.browser(req))
        drop(resp, SESSION)
        drop(resp, FLOW)
        resp.redirect(back or "/sign-in")

    async def _back(self, params: Mapping[str, str]) -> str:
        """Return the redirect URI: one registered for sign-out by the client of the ID token hint, compared exactly."""
        wanted = params.get("post_logout_redirect_uri", "")
        claims = self._web.keyring.verified_identity(params.get("id_token_hint", ""))
        client_id = str(claims["aud"]) if claims else params.get("client_id", "")
        client = await self._web.database.read(applications.find, client_id) if wanted else None
        if client is None or client.removed_at is not None or wanted not in client.post_logout_redirect_uris:
            return ""
        state = params.get("state", "")
        return f"{wanted}{'&' if '?' in wanted else '?'}{urlencode({'state': state})}" if state else wanted


def _params(req: Request) -> dict[str, str] | None:
    """Return the query's parameters, or None if one is repeated or malformed (RFC 6749, 3.1)."""
    try:
        pairs = pairs_of(req.query_string, MAX_FIELDS)
    except ValueError:
        return None
    found = dict(pairs)
    return found if len(found) == len(pairs) else None


def _origin(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.split('/', 1)[0].split('?', 1)[0]}"
