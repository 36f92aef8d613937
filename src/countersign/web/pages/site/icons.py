"""Icons under the addresses at which browsers and phones look for them unasked, and the manifest that names the site."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.web.pages.shared.assets import address

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.http.router import Responder

FAVICON: Final = "/favicon.ico"
MANIFEST: Final = "/site.webmanifest"
TOUCH_ICONS: Final = (
    "/apple-touch-icon.png",
    "/apple-touch-icon-precomposed.png",
    "/apple-touch-icon-120x120.png",
    "/apple-touch-icon-120x120-precomposed.png",
)
"""What iOS asks for (Apple: Configuring Web Applications). One picture of 180 pixels serves all."""
LARGEST_SHORT_NAME: Final = 12
"""Characters below an icon on a home screen. A longer name is left to the phone to cut."""

_A_DAY: Final = "public, max-age=86400"
_ACCENT: Final = "#0b5f73"
_PAPER: Final = "#f2f4f6"


def icon(name: str, media_type: str) -> Responder:
    """Return the handler of a picture in this folder. Its address has no version, so it is kept for a day only."""
    picture = (files("countersign.web.pages.site") / name).read_bytes()

    async def get(_: Request, resp: Response) -> None:
        resp.write(picture, media_type)
        resp.set_header("Cache-Control", _A_DAY)
        resp.set_header("Cross-Origin-Resource-Policy", "same-origin")

    return get


class Manifest:
    """The web application manifest (W3C): the site's name and icons for a home screen."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, _: Request, resp: Response) -> None:
        """Return the manifest."""
        site = self._web.settings.site
        names = {"name": site} | ({"short_name": site} if len(site) <= LARGEST_SHORT_NAME else {})
        manifest = {
            **names,
            "id": "/",
            "start_url": "/",
            "scope": "/",
            "display": "browser",
            "theme_color": _ACCENT,
            "background_color": _PAPER,
            "icons": [
                {"src": address("mark.svg"), "type": "image/svg+xml", "sizes": "any"},
                {"src": TOUCH_ICONS[0], "type": "image/png", "sizes": "180x180"},
            ],
        }
        resp.write(msgspec.json.encode(manifest), "application/manifest+json")
        resp.set_header("Cache-Control", _A_DAY)
