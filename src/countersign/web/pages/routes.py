"""The routes of every page, put together from the tables of the rooms."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from countersign.web.http.browser import LANGUAGE_PAGE
from countersign.web.pages.account import routes as account
from countersign.web.pages.developer import routes as developer
from countersign.web.pages.oidc import routes as oidc
from countersign.web.pages.reports import routes as reports
from countersign.web.pages.shared.assets import asset
from countersign.web.pages.shared.continue_flow import ContinueFlow
from countersign.web.pages.shared.error_pages import ErrorPages
from countersign.web.pages.shared.language_choice import LanguagePage
from countersign.web.pages.shared.look import ThemeFiles
from countersign.web.pages.shared.session_guard import SessionGuard
from countersign.web.pages.shared.word_pages import OUTCOME, get_outcome
from countersign.web.pages.sign_in import routes as sign_in
from countersign.web.pages.site import routes as site

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.router import ErrorPage, Routes


def routes(web: WebContext) -> Routes:
    """Return the routes of all pages and their assets."""
    language = LanguagePage(web)
    account_routes, acts = account.routes(web, SessionGuard(web))
    return {
        **site.routes(web),
        **developer.routes(web),
        **sign_in.routes(web, ContinueFlow(web, acts)),
        **account_routes,
        **reports.routes(web),
        OUTCOME: {"GET": partial(get_outcome, web)},
        LANGUAGE_PAGE: {"GET": language.get, "POST": language.post},
        "/theme/{version}/{name}": {"GET": ThemeFiles(web).get},
        "/static/{version}/{name}": {"GET": asset},
    }


def routes_for_other_sites(web: WebContext) -> Routes:
    """Return the routes to which a page of another site may send a form. Each decides by itself what such a form may do."""
    return oidc.routes_for_other_sites(web)


def error_page(web: WebContext) -> ErrorPage:
    """Return the handler that answers people in place of a problem."""
    return ErrorPages(web).show
