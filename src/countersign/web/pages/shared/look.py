"""The look of a page: the style sheet, logo, icon and links of the theme that it bears, and the files that belong to themes."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.look.palette import DARK, LIGHT
from countersign.domain.look.theme import OWN_THEME, Picture, Theme
from countersign.web.http.compression import write_file
from countersign.web.http.problems import ProblemError
from countersign.web.pages.shared.assets import ALONE, FOREVER, TYPES, address, contents

if TYPE_CHECKING:
    from countersign.domain.look.palette import Palette
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

WIDE: Final = 2.0
"""A logo that is more times as wide as high holds the name, which is then not written beside it."""
LOGO_HEIGHT: Final = 28
LOGO_WIDTH: Final = 192

FILE_TYPES: Final = TYPES | {".png": "image/png", ".svg": "image/svg+xml; charset=utf-8"}
TOUCH_ICON: Final = "/apple-touch-icon.png"
_GENERIC: Final = frozenset(
    {"serif", "sans-serif", "monospace", "system-ui", "ui-serif", "ui-sans-serif", "ui-monospace", "ui-rounded"}
)
_OWN_FONT: Final = "Theme"
_BASE_SIZE: Final = 16
_LARGE: Final = 1.75
"""How much rounder a card is than a button."""


class LogoView(msgspec.Struct, frozen=True):
    """A logo as a page shows it: its address, that of the one on dark ground or "", its size in pixels, and whether it holds the name."""

    address: str
    dark: str
    width: int
    height: int
    wide: bool


class PageLook(msgspec.Struct, frozen=True):
    """What a page needs of its theme: the addresses of sheet and icons, the icon's type, and the logo, if there is one.

    `touch_icon` is empty where a theme has no picture that phones can put on a home screen: they draw one of their own.
    """

    sheet: str
    icon: str
    icon_type: str
    touch_icon: str
    logo: LogoView | None = None
    has_font: bool = False


class ThemeFiles:
    """Serves the files of themes. Their addresses hold a hash of their content."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response, version: str, name: str) -> None:
        """GET /theme/{version}/{name}. A file of another version is served as it is now, but must not be cached."""
        every = {path: file for theme in self._web.settings.themes.every() for path, file in files_of(theme).items()}
        found = every.get(name)
        if found is None:
            raise ProblemError("not_found")
        write_file(req, resp, found, FILE_TYPES[name[name.rindex(".") :]])
        resp.set_header("Cache-Control", FOREVER if version == _digest(found) else "no-store")
        resp.set_header("Content-Security-Policy", ALONE)
        resp.set_header("Cross-Origin-Resource-Policy", "same-origin")


@lru_cache(maxsize=256)
def look_of(theme: Theme) -> PageLook:
    """Return what a page needs of its theme."""
    files = files_of(theme)
    paths = {name: f"/theme/{_digest(content)}/{name}" for name, content in files.items()}
    icon = paths.get(f"{theme.name}-icon.{theme.favicon.kind}", "") if theme.favicon else ""
    drawn = theme.favicon is not None and theme.favicon.kind == "svg"
    return PageLook(
        sheet=paths.get(f"{theme.name}.css") or address("design.css"),
        icon=icon or address("mark.svg"),
        icon_type=type_of(theme.favicon).partition(";")[0] if theme.favicon else TYPES[".svg"],
        # iOS takes no SVG (Apple: Configuring Web Applications).
        touch_icon="" if drawn else icon or TOUCH_ICON,
        logo=_logo(theme, theme.logo, paths) if theme.logo else None,
        has_font=theme.font is not None,
    )


@lru_cache(maxsize=256)
def files_of(theme: Theme) -> dict[str, bytes]:
    """Return the files of a theme by their names."""
    pictures = {"logo": theme.logo, "logo-dark": theme.logo_dark, "icon": theme.favicon}
    files = {f"{theme.name}-{use}.{one.kind}": one.content for use, one in pictures.items() if one is not None}
    rules = style_rules(theme)
    if rules:
        # One sheet in place of ours: a theme costs no further request for its colours.
        ours = contents()["design.css"].decode().replace('url("chevron.svg")', f'url("{address("chevron.svg")}")')
        files[f"{theme.name}.css"] = f"{ours}{rules}".encode()
    return files


def style_rules(theme: Theme) -> str:
    """Return what a theme adds to the style sheet. Every value in it was checked when the settings were read."""
    coloured = theme.light is not None or theme.dark is not None
    # Both schemes, if one has colours of its own: a rule for light ones that comes last would win over our dark ones.
    light, dark = (_colours(theme.light or LIGHT), _colours(theme.dark or DARK)) if coloured else ([], [])
    own = [*light, *_shape(theme)]
    rules = []
    if theme.font is not None:
        source = f"data:font/woff2;base64,{base64.b64encode(theme.font.content).decode()}"
        weights = "font-weight:100 900;" if theme.font.variable else ""
        rules.append(
            f'@font-face{{font-family:"{_OWN_FONT}";{weights}font-display:swap;src:url({source}) format("woff2")}}'
        )
    if own:
        rules.append(f":root{{{';'.join(own)}}}")
    if dark:
        rules.append(f"@media (prefers-color-scheme:dark){{:root{{{';'.join(dark)}}}}}")
    return "\n".join(rules)


def _colours(palette: Palette) -> list[str]:
    return [f"--{name.replace('_', '-')}:{colour}" for name, colour in msgspec.structs.asdict(palette).items()]


def _shape(theme: Theme) -> list[str]:
    rules = []
    if theme.font is not None or theme.fonts:
        names = [*([_OWN_FONT] if theme.font is not None else []), *theme.fonts]
        quoted = [name if name in _GENERIC else f'"{name}"' for name in names]
        rules.append(
            f'--sans:{",".join(quoted)},system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",Arial,sans-serif'
        )
    if theme.radius is not None:
        rules.append(f"--round:{theme.radius / _BASE_SIZE:g}rem;--round-l:{theme.radius * _LARGE / _BASE_SIZE:g}rem")
    return rules


def _logo(theme: Theme, logo: Picture, paths: dict[str, str]) -> LogoView:
    height = min(LOGO_HEIGHT, LOGO_WIDTH * logo.height / logo.width)
    dark = f"{theme.name}-logo-dark.{theme.logo_dark.kind}" if theme.logo_dark else ""
    return LogoView(
        address=paths[f"{theme.name}-logo.{logo.kind}"],
        dark=paths.get(dark, ""),
        width=round(height * logo.width / logo.height),
        height=round(height),
        wide=logo.width > WIDE * logo.height,
    )


def type_of(picture: Picture) -> str:
    """Return the media type of a picture."""
    return FILE_TYPES[f".{picture.kind}"]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


PLAIN: Final = Theme(OWN_THEME)
"""Our own look, for the pages of development."""
