"""Icons under the addresses at which browsers and phones look for them unasked, and the manifest that names the site.

They are those of the installation's theme where it has an icon.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.look.palette import LIGHT
from countersign.web.http.problems import ProblemError
from countersign.web.pages.shared.assets import ALONE
from countersign.web.pages.shared.look import TOUCH_ICON, look_of, type_of

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.http.router import Responder

FAVICON: Final = "/favicon.ico"
MANIFEST: Final = "/site.webmanifest"
TOUCH_ICONS: Final = (
    TOUCH_ICON,
    "/apple-touch-icon-precomposed.png",
    "/apple-touch-icon-120x120.png",
    "/apple-touch-icon-120x120-precomposed.png",
)
"""What iOS asks for (Apple: Configuring Web Applications). One picture of 180 pixels serves all."""
LARGEST_SHORT_NAME: Final = 12
"""Characters below an icon on a home screen. A longer name is left to the phone to cut."""

_A_DAY: Final = "public, max-age=86400"


def favicon(web: WebContext) -> Responder:
    """Return the handler of the icon: the theme's as it is, which browsers know by its type, else ours."""
    ours = _ours("favicon.ico")

    async def get(_: Request, resp: Response) -> None:
        chosen = web.settings.themes.own.favicon
        _write(resp, *((chosen.content, type_of(chosen)) if chosen is not None else (ours, "image/x-icon")))

    return get


def touch_icon(web: WebContext) -> Responder:
    """Return the handler of the icon for a home screen. A theme with a drawn icon has none, because ours would be a stranger's."""
    ours = _ours("touch-icon.png")

    async def get(_: Request, resp: Response) -> None:
        chosen = web.settings.themes.own.favicon
        if chosen is not None and chosen.kind != "png":
            raise ProblemError("not_found")
        _write(resp, chosen.content if chosen is not None else ours, "image/png")

    return get


def _ours(name: str) -> bytes:
    return (files("countersign.web.pages.site") / name).read_bytes()


def _write(resp: Response, picture: bytes, media_type: str) -> None:
    """Answer with a picture. Its address has no version, so it is kept for a day only."""
    resp.write(picture, media_type)
    resp.set_header("Cache-Control", _A_DAY)
    resp.set_header("Content-Security-Policy", ALONE)
    resp.set_header("Cross-Origin-Resource-Policy", "same-origin")


class Manifest:
    """The web application manifest (W3C): the site's name, colours and icons for a home screen."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, _: Request, resp: Response) -> None:
        """Return the manifest."""
        site, theme = self._web.settings.site, self._web.settings.themes.own
        names = {"name": site} | ({"short_name": site} if len(site) <= LARGEST_SHORT_NAME else {})
        look, colours, chosen = look_of(theme), theme.light or LIGHT, theme.favicon
        sizes = f"{chosen.width}x{chosen.height}" if chosen is not None and chosen.kind == "png" else "any"
        icons = [{"src": look.icon, "type": look.icon_type, "sizes": sizes}]
        if chosen is None:
            icons.append({"src": TOUCH_ICON, "type": "image/png", "sizes": "180x180"})
        manifest = {
            **names,
            "id": "/",
            "start_url": "/",
            "scope": "/",
            "display": "browser",
            "theme_color": colours.accent,
            "background_color": colours.paper,
            "icons": icons,
        }
        resp.write(msgspec.json.encode(manifest), "application/manifest+json")
        resp.set_header("Cache-Control", _A_DAY)
