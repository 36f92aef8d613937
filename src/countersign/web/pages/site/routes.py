"""The routes that any site has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.web.pages.site.front_door import FrontDoor
from countersign.web.pages.site.icons import FAVICON, MANIFEST, TOUCH_ICONS, Manifest, favicon, touch_icon
from countersign.web.pages.site.well_known import Robots, change_password

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.router import Routes


def routes(web: WebContext) -> Routes:
    """Return the routes."""
    home_screen = touch_icon(web)
    return {
        "/": {"GET": FrontDoor(web).get},
        FAVICON: {"GET": favicon(web)},
        MANIFEST: {"GET": Manifest(web).get},
        "/robots.txt": {"GET": Robots(web).get},
        "/.well-known/change-password": {"GET": change_password},
        **{path: {"GET": home_screen} for path in TOUCH_ICONS},
    }
