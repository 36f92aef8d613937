"""The page of OpenID Connect to which an application sends people: /oauth/authorize."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import falcon

from countersign.domain.oidc.authorization_request import MAX_LOCALES, AuthorizationErrorResponse
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.oidc.authorize import RedirectToClient, SignInRequired, authorize
from countersign.flows.verifications.results import Refused
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import ASKED_LANGUAGE, ASKED_LANGUAGE_KEPT, keep
from countersign.web.http.forms import FORM, is_form, pairs_of
from countersign.web.http.locales import first_available
from countersign.web.http.problems import ProblemError
from countersign.web.pages.shared.destinations import to_verification
from countersign.web.pages.shared.leave import leave_for
from countersign.web.pages.shared.word_pages import home_link, show_refusal, show_word

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

MAX_FIELDS: Final = 40
MAX_QUERY: Final = 7_000
"""Characters of a request that a form brought. A proxy in front takes 8 KiB in a request line."""


class AuthorizePage:
    """Answers an authorization request."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Redirect the person back to the client, or to what is missing."""
        params = params_of(req.query_string)
        outcome: object
        if params is None:
            outcome = AuthorizationErrorResponse(
                "invalid_request", "A parameter comes twice, or the query is malformed."
            )
        else:
            outcome = await authorize(self._web.accounts, self._web.browser(req), params)
        match outcome:
            case RedirectToClient(location):
                leave_for(self._web, req, resp, location)
            case SignInRequired(path, _, ui_locales):
                self._choose_language(resp, ui_locales)
                resp.redirect(f"/sign-in?return_to={quote(path, safe='/')}")
            case CodeRequested():
                self._choose_language(resp, tuple((params or {}).get("ui_locales", "")[:MAX_LOCALES].split()))
                to_verification(req, resp, outcome)
            case Refused():
                show_refusal(self._web, req, resp, outcome)
            case AuthorizationErrorResponse(error, description):
                show_wrong_link(self._web, req, resp, f"{description} ({error})")

    async def post(self, req: Request, resp: Response) -> None:
        """Lead on to the same request in an address (OpenID Connect Core, 3.1.2.1).

        A form of another site comes without the cookies of this one. What it asks for changes nothing, so it may be asked for by GET.
        """
        if not is_form(req):
            raise ProblemError("not_json", detail=f"This address takes {FORM}.")
        try:
            query = urlencode(pairs_of((await req.body()).decode(), MAX_FIELDS))
        except ValueError:
            query = ""
        if len(query) > MAX_QUERY:
            raise ProblemError("too_large")
        resp.redirect(f"/oauth/authorize?{query}")

    def _choose_language(self, resp: Response, ui_locales: tuple[str, ...]) -> None:
        """Speak the first language of ours that the application asks for, for as long as its person is on the way back."""
        tag = first_available(ui_locales)
        if tag:
            keep(resp, ASKED_LANGUAGE, tag, ASKED_LANGUAGE_KEPT)


def show_wrong_link(web: WebContext, req: Request, resp: Response, reason: str) -> None:
    """Say that an application sent a request that cannot be answered. `reason` is for its developer."""
    resp.status = falcon.HTTP_400
    language = language_of(req)
    title = language.say("The link you followed does not work")
    show_word(web, req, resp, "warn", title, reason, home_link(req, language))


def params_of(query: str) -> dict[str, str] | None:
    """Return the parameters of a query, or None if one is repeated or malformed (RFC 6749, 3.1)."""
    try:
        pairs = pairs_of(query, MAX_FIELDS)
    except ValueError:
        return None
    found = dict(pairs)
    return found if len(found) == len(pairs) else None
