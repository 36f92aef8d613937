"""The settings of a theme, `[theme]` for the installation and `[themes.NAME]` for applications, and the themes that they make."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from countersign.config.theme_files import MAX_FONT, MAX_PICTURE, ThemeFileError, read_font, read_picture
from countersign.config.values import read_optional_path
from countersign.domain.look.colour import read_colour
from countersign.domain.look.palette import DARK, LIGHT, Chosen, Palette, make_palette
from countersign.domain.look.theme import LANGUAGE, OWN_THEME, SiteLinks, Theme, Themes
from countersign.domain.shared.identifier import is_identifier
from countersign.setting import Described

MAX_LINK: Final = 300
MAX_FONTS: Final = 10

_FONT: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _-]{0,38}[A-Za-z0-9])?")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9._~:/?#@!$&()*+,;=%-]+")
_MAIL: Final = re.compile(r"mailto:[A-Za-z0-9.!#$%&*+/=^_~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])")
_TELEPHONE: Final = re.compile(r"tel:\+?[0-9](?:[0-9().-]{0,28}[0-9])")
_LINK_EXPECTS: Final = "an address that begins with https://, mailto: or tel:"

_TOGETHER: Final = {
    "logo": "logo_dark",
    "accent": "accent_dark",
    "background": "background_dark",
    "text": "text_dark",
    "fonts": "font",
}
"""A theme that has the first of its own does not inherit the second, which was made for another one."""

T = TypeVar("T")


def read_optional_colour(text: str) -> str:
    """Return a colour as `#rrggbb`; an empty text stands for none."""
    return read_colour(text) if text else ""


def read_fonts(texts: Sequence[str]) -> tuple[str, ...]:
    """Return names of fonts, of letters, digits, spaces, hyphens and underscores: nothing that could end a name in a style sheet."""
    if len(texts) > MAX_FONTS or not all(_FONT.fullmatch(name) for name in texts):
        raise ValueError("fonts")
    return tuple(texts)


def read_link(text: str) -> str:
    """Return the address of a link: https with a host, `mailto:` or `tel:`. An empty text stands for none."""
    if not text or _MAIL.fullmatch(text) or _TELEPHONE.fullmatch(text):
        return text
    address = text.replace(LANGUAGE, "en")
    parts = urlsplit(address)
    host = parts.netloc.partition(":")[0]
    if parts.scheme != "https" or LANGUAGE in text.partition("://")[2].partition("/")[0]:
        raise ValueError("link")
    if len(text) > MAX_LINK or not _ADDRESS.fullmatch(address) or not host or "@" in parts.netloc:
        raise ValueError("link")
    return text


def read_applications(texts: Sequence[str]) -> tuple[str, ...]:
    """Return ids of applications: at least one, none twice."""
    if not texts or len(set(texts)) != len(texts) or not all(is_identifier("app", one) for one in texts):
        raise ValueError("applications")
    return tuple(texts)


def _colour(meaning: str) -> Described:
    return Described(meaning, expects="a colour such as #0b5f73", reads=read_optional_colour)


def _picture(meaning: str) -> Described:
    return Described(
        meaning, expects=f"a file, SVG or PNG, of at most {MAX_PICTURE // 1024} KiB", reads=read_optional_path
    )


def _link(meaning: str) -> Described:
    return Described(meaning, expects=_LINK_EXPECTS, reads=read_link)


class ThemeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[theme]`."""

    logo: Annotated[
        Path | None,
        _picture(
            "The logo at the head of every page. The site's name stands beside it, unless it is more than twice as wide as high. An SVG"
            " that runs or fetches something is refused."
        ),
    ] = None
    logo_dark: Annotated[Path | None, _picture("The logo on dark ground, if it is another one.")] = None
    favicon: Annotated[
        Path | None,
        _picture(
            "The icon in a browser's tab, and on a phone's home screen if it is a PNG. 180 pixels square are best."
        ),
    ] = None
    accent: Annotated[
        str,
        _colour(
            "The colour of buttons and links. Colours must be readable (WCAG 2.2 AA), or the start is refused with the figure and a"
            " colour that would pass."
        ),
    ] = ""
    accent_dark: Annotated[
        str,
        _colour(
            "The accent for people who prefer a dark screen; without it `accent` is made lighter until it can be read."
        ),
    ] = ""
    background: Annotated[str, _colour("The colour behind everything.")] = ""
    background_dark: Annotated[str, _colour("The same on a dark screen.")] = ""
    text: Annotated[str, _colour("The colour of text.")] = ""
    text_dark: Annotated[str, _colour("The same on a dark screen.")] = ""
    fonts: Annotated[
        tuple[str, ...],
        Described(
            "Fonts that people's devices may have, the best first; those of the device come after them.",
            expects="a list of names such as Georgia, Cambria",
            reads=read_fonts,
        ),
    ] = ()
    font: Annotated[
        Path | None,
        Described(
            "A font of yours, which is used before all others. It travels in the style sheet, so keep it small.",
            expects=f"a WOFF2 file of at most {MAX_FONT // 1024} KiB",
            reads=read_optional_path,
        ),
    ] = None
    radius: Annotated[
        int | None, msgspec.Meta(ge=0, le=24), Described("How round buttons and fields are, in pixels.", default="8")
    ] = None
    terms: Annotated[
        str,
        _link(
            "Your terms. Links stand at the foot of every page and mail; `{language}` in one becomes the tag of the reader's language."
        ),
    ] = ""
    privacy: Annotated[str, _link("Your privacy notice.")] = ""
    imprint: Annotated[str, _link("Your imprint, or legal notice.")] = ""
    support: Annotated[str, _link("Where people get help.")] = ""


class NamedThemeSettings(ThemeSettings, frozen=True, kw_only=True):
    """`[themes.NAME]`. What it leaves out is as in `[theme]`."""

    applications: Annotated[
        tuple[str, ...],
        Described(
            "The applications whose pages and mail have this theme. `countersign apps list` shows their ids. Required.",
            expects="a list of ids such as app_01jd0000000000000000000000",
            reads=read_applications,
        ),
    ] = ()


class ThemeReader:
    """Makes themes of settings. What is wrong goes to `faults`, one sentence for each."""

    def __init__(self, faults: list[str]) -> None:
        self._faults = faults

    def read(self, own: Mapping[str, Any], named: Mapping[str, Mapping[str, Any]]) -> Themes:
        """Return the themes.

        Args:
            own: the values of `[theme]` by name.
            named: those of each `[themes.NAME]`.
        """
        by_application: dict[str, Theme] = {}
        for name, values in named.items():
            ids = values.get("applications", ())
            if not ids:
                self._faults.append(
                    f"[themes.{name}] applications: expected a list of ids of applications; it is missing."
                )
            taken = [one for one in ids if one in by_application]
            if taken:
                self._faults.append(f"[themes.{name}] applications: {', '.join(taken)} has another theme already.")
            theme = self._theme(name, f"[themes.{name}] ", {**_inherited(own, values), **values}, values)
            by_application |= dict.fromkeys(ids, theme)
        return Themes(self._theme(OWN_THEME, "theme.", own, own), by_application)

    def _theme(self, name: str, place: str, values: Mapping[str, Any], said: Mapping[str, Any]) -> Theme:
        """Return one theme. `said` are the values that stand in its own table: only their faults are reported."""
        light, dark = self._palettes(place, values, said)
        pictures = {one: self._file(place, one, values, said, read_picture) for one in ("logo", "logo_dark", "favicon")}
        return Theme(
            name=name,
            light=light,
            dark=dark,
            fonts=values.get("fonts", ()),
            font=self._file(place, "font", values, said, read_font),
            radius=values.get("radius"),
            links=SiteLinks(*(values.get(one, "") for one in ("terms", "privacy", "imprint", "support"))),
            **pictures,
        )

    def _palettes(
        self, place: str, values: Mapping[str, Any], said: Mapping[str, Any]
    ) -> tuple[Palette | None, Palette | None]:
        made: list[Palette | None] = []
        for base, ending in ((LIGHT, ""), (DARK, "_dark")):
            chosen = Chosen(*(values.get(f"{one}{ending}", "") for one in ("accent", "background", "text")))
            palette, unreadable = make_palette(chosen, base, values.get("accent", "") if ending else "")
            if any(f"{one}{ending}" in said for one in ("accent", "background", "text")):
                self._faults += [f"{place}{each.name}{ending}: {each.sentence}" for each in unreadable]
            made.append(None if palette == base else palette)
        return made[0], made[1]

    def _file(
        self, place: str, name: str, values: Mapping[str, Any], said: Mapping[str, Any], read: Callable[[Path], T]
    ) -> T | None:
        path = values.get(name)
        if path is None:
            return None
        try:
            return read(path)
        except ThemeFileError as error:
            if name in said:
                self._faults.append(f"{place}{name}: {path}: {error}.")
            return None


def _inherited(own: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    left = {second for first, second in _TOGETHER.items() if first in values}
    return {name: value for name, value in own.items() if name not in left}
