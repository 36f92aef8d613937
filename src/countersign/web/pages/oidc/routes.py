"""The routes of the pages of OpenID Connect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.web.pages.oidc.authorization import AuthorizePage
from countersign.web.pages.oidc.end_session import EndSessionPage

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.router import Routes


def routes_for_other_sites(web: WebContext) -> Routes:
    """Return the routes to which an application's page may send a form (OpenID Connect Core, 3.1.2.1; RP-Initiated Logout 1.0, 2)."""
    authorize, end_session = AuthorizePage(web), EndSessionPage(web)
    return {
        "/oauth/authorize": {"GET": authorize.get, "POST": authorize.post},
        "/oauth/sign-out": {"GET": end_session.get, "POST": end_session.post},
    }
