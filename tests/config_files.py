"""Settings files of the tests: one with themes that have each part, made in a folder of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.config import Settings, load

if TYPE_CHECKING:
    from pathlib import Path

SHOP: Final = "app_01jd0000000000000000000000"
SVG: Final = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 32"><path fill="{fill}" d="M0 0h{width}v32H0z"/></svg>'
THEMES: Final = """
environment = "development"
site = "First Harbour"

[theme]
logo = "{folder}/wide.svg"
logo_dark = "{folder}/wide-dark.svg"
favicon = "{folder}/mark.svg"
accent = "#0a3d91"
fonts = ["Georgia", "serif"]
radius = 2
terms = "https://firstharbour.example/{{language}}/terms"
privacy = "https://firstharbour.example/privacy"
imprint = "https://firstharbour.example/imprint"
support = "tel:+442079460000"

[themes.shop]
applications = ["{shop}"]
logo = "{folder}/mark.svg"
accent = "#a6461a"
accent_dark = "#f0a868"
background = "#fbf3e6"
background_dark = "#1b120c"
text = "#2a1a10"
text_dark = "#f6eadb"
radius = 16
support = "mailto:help@leafandkettle.example"
"""


def write_themes(folder: Path) -> Path:
    """Write a settings file with a bank's and a shop's theme, and the pictures that it names; return the file."""
    for name, width, fill in (("wide", 160, "#0a2f7a"), ("wide-dark", 160, "#9db9f5"), ("mark", 32, "#8c3b12")):
        (folder / f"{name}.svg").write_text(SVG.format(width=width, fill=fill))
    file = folder / "countersign.toml"
    file.write_text(THEMES.format(folder=folder, shop=SHOP))
    return file


def themed_settings(folder: Path) -> Settings:
    """Return the settings of `write_themes`."""
    return load({}, write_themes(folder))
