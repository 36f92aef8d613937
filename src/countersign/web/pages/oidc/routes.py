"""The routes of the pages of OpenID Connect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.web.pages.oidc.authorization import AuthorizePage, EndSessionPage

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.router import Routes


def routes(web: WebContext) -> Routes:
    """Return the routes."""
    end_session = EndSessionPage(web)
    return {
        "/oauth/authorize": {"GET": AuthorizePage(web).get},
        "/oauth/sign-out": {"GET": end_session.get, "POST": end_session.post},
    }
