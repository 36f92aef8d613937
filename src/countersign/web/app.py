"""The web application: the route tables of the API and of the pages in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.web.api import routes as api
from countersign.web.http.application import PAGES, WebApplication
from countersign.web.http.context import WebContext
from countersign.web.pages import routes as pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from countersign.wiring import Runtime


def make_app(runtime: Runtime, *, worker_alive: Callable[[], bool]) -> WebApplication:
    """Return the ASGI application that serves a runtime. `worker_alive` returns whether messages are being delivered."""
    web = WebContext(runtime, worker_alive)
    app = WebApplication(web, pages.error_page(web))
    programs = api.routes(web)
    app.mount(programs)
    app.hot_routes.add(programs, *api.HOT)
    app.mount(api.browser_routes(web), guard=web.cross_origin.check)
    app.mount(pages.routes(web), guard=web.cross_origin.check_page, label=PAGES)
    app.mount(pages.routes_for_other_sites(web), guard=web.cross_origin.check_host, label=PAGES)
    return app
