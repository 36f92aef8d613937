"""A theme: the look of pages and mail of an installation, or of one application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from countersign.domain.look.palette import Palette

OWN_THEME: Final = "own-site"
"""The name of the installation's theme. The names of other themes have no hyphen."""

LANGUAGE: Final = "{language}"
"""In the address of a link it stands for the tag of the reader's language."""


class Picture(msgspec.Struct, frozen=True):
    """A logo or an icon: a checked SVG or PNG with its size in pixels. `kind` is the end of its file name."""

    content: bytes
    kind: str
    width: int
    height: int

    def __repr__(self) -> str:
        """Leave the content out."""
        return f"Picture({self.kind}, {self.width} x {self.height})"


class Font(msgspec.Struct, frozen=True):
    """A checked WOFF2 file. `variable` says whether it holds every weight."""

    content: bytes
    variable: bool

    def __repr__(self) -> str:
        """Leave the content out."""
        return f"Font({len(self.content)} bytes)"


class SiteLinks(msgspec.Struct, frozen=True):
    """The addresses of terms, privacy notice, imprint and support: https, `mailto:` or `tel:`; empty for none."""

    terms: str = ""
    privacy: str = ""
    imprint: str = ""
    support: str = ""

    def of_language(self, tag: str) -> SiteLinks:
        """Return the links for readers of the language `tag`."""
        return SiteLinks(*(link.replace(LANGUAGE, tag) for link in msgspec.structs.astuple(self)))


class Theme(msgspec.Struct, frozen=True):
    """The look of pages and mail. The defaults are our own look.

    - `light`, `dark`: the colours of the two schemes; None for our own.
    - `fonts`: names of fonts that the reader's device may have, the best first. `font`: one that we serve, which comes before them.
    - `radius`: of fields and buttons, in pixels.
    - `logo_dark`: the logo on dark ground, if it is another one.
    - `links`: see SiteLinks.
    """

    name: str = OWN_THEME
    light: Palette | None = None
    dark: Palette | None = None
    fonts: tuple[str, ...] = ()
    font: Font | None = None
    radius: int | None = None
    logo: Picture | None = None
    logo_dark: Picture | None = None
    favicon: Picture | None = None
    links: SiteLinks = SiteLinks()


class Themes(msgspec.Struct, frozen=True):
    """All themes: the installation's `own`, and those of applications by their ids, and by their names for people in lower case."""

    own: Theme = Theme()
    by_application: Mapping[str, Theme] = msgspec.field(default_factory=dict)
    by_site: Mapping[str, Theme] = msgspec.field(default_factory=dict)

    def theme_for(self, application: str) -> Theme:
        """Return the theme of an application, which is the installation's unless it has one of its own."""
        return self.by_application.get(application, self.own)

    def theme_of_message(self, application: str, asker: str) -> Theme:
        """Return the theme of a message: that of its application, else that of the application called `asker`, on whose behalf we ask."""
        return self.by_application.get(application) or self.by_site.get(asker.casefold(), self.own)

    def every(self) -> tuple[Theme, ...]:
        """Return each theme once, the installation's first."""
        return tuple({theme.name: theme for theme in (self.own, *self.by_application.values())}.values())
