"""The routes of every page, put together from the tables of the rooms."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from countersign.web.pages.account import routes as account
from countersign.web.pages.developer import routes as developer
from countersign.web.pages.oidc import routes as oidc
from countersign.web.pages.reports import routes as reports
from countersign.web.pages.shared.assets import asset
from countersign.web.pages.shared.continue_flow import ContinueFlow
from countersign.web.pages.shared.session_guard import SessionGuard
from countersign.web.pages.shared.word_pages import OUTCOME, get_outcome, show_unavailable
from countersign.web.pages.sign_in import routes as sign_in

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.router import ErrorPage, Routes


def routes(web: WebContext) -> Routes:
    """Return the routes of all pages and their assets."""
    account_routes, acts = account.routes(web, SessionGuard(web))
    return {
        **developer.routes(web),
        **sign_in.routes(web, ContinueFlow(web, acts)),
        **account_routes,
        **oidc.routes(web),
        **reports.routes(web),
        OUTCOME: {"GET": partial(get_outcome, web)},
        "/static/{version}/{name}": {"GET": asset},
    }


def unavailable(web: WebContext) -> ErrorPage:
    """Return the handler that answers on pages when something is down or full."""
    return partial(show_unavailable, web)
