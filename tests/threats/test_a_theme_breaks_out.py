"""Attack: a theme carries more than a look.

A colour ends the style sheet, a font's name opens another rule, a link runs a script, and a logo fetches, runs or is no picture at all.
Whoever writes the settings is trusted; whoever drew the logo is not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
from tests.config_files import SHOP, SVG, themed_settings

from countersign.config import load
from countersign.config.theme_files import ThemeFileError, read_font, read_picture
from countersign.errors import SettingsError
from countersign.web.pages.shared.look import style_rules

if TYPE_CHECKING:
    from pathlib import Path

BREAKS: Final = (
    "#fff}body{display:none",
    "#fff;--x:url(https://evil.example)",
    "</style><script>alert(1)</script>",
    "red",
    "rgb(0 0 0)",
    "#12345",
    "#1234567",
    "&#35;fff",
    "#fff\n",
    "var(--ink)",
    "\\23 fff",
)
FONTS: Final = ('"', "a}", "url(x)", "a;b", "a,b{}", "a\\22 ", "a\nb", "</style>", "a/*", "", " Georgia", "@import")
LINKS: Final = (
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "data:text/html,x",
    "http://example.org/terms",
    "//example.org/terms",
    "/terms",
    "https://",
    "https://user:secret@example.org/",
    'https://example.org/"onmouseover="x',
    "https://example.org/<script>",
    "https://example.org/a b",
    "https://{language}.example.org/",
    "mailto:a@b.example?cc=all@example.org",
    "mailto:a@b.example\r\nBcc: c@d.example",
    "mailto:",
    "tel:+44 20",
    "tel:javascript",
)
OPEN: Final = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 32 32"'
PICTURES: Final = {
    "a script": f"{OPEN}><script>alert(1)</script></svg>",
    "a script of no name space": f'{OPEN}><script xmlns="">alert(1)</script></svg>',
    "a handler": f'{OPEN} onload="alert(1)"/>',
    "a handler in capitals": f'{OPEN}><path ONCLICK="x"/></svg>',
    "HTML inside": f'{OPEN}><foreignObject><body xmlns="http://www.w3.org/1999/xhtml"/></foreignObject></svg>',
    "HTML beside": f'{OPEN}><iframe xmlns="http://www.w3.org/1999/xhtml" src="https://evil.example"/></svg>',
    "a picture elsewhere": f'{OPEN}><image href="https://evil.example/x.png"/></svg>',
    "a use elsewhere": f'{OPEN}><use xlink:href="https://evil.example/x.svg#a"/></svg>',
    "a use of data": f'{OPEN}><use href="data:image/svg+xml,x#a"/></svg>',
    "a link": f'{OPEN}><a href="javascript:alert(1)"><path/></a></svg>',
    "an animation of a link": f'{OPEN}><use href="#a"><set attributeName="href" to="https://evil.example"/></use></svg>',
    "a style that imports": f"{OPEN}><style>@import 'https://evil.example/x.css';</style></svg>",
    "a style that fetches": f"{OPEN}><style>path{{fill:url(https://evil.example)}}</style></svg>",
    "a style with escapes": f"{OPEN}><style>path{{fill:\\75rl(https://evil.example)}}</style></svg>",
    "a style in CDATA": f"{OPEN}><style><![CDATA[@import '//evil.example';]]></style></svg>",
    "a fill elsewhere": f'{OPEN}><path fill="url( //evil.example/x#a)"/></svg>',
    "a fill by an entity": f'{OPEN}><path fill="ur&#108;(https&#58;//evil.example)"/></svg>',
    "a document type": f"<!DOCTYPE svg [<!ENTITY a 'x'>]>{OPEN}/>",
    "an entity that grows": f'<!doctype svg [<!ENTITY a "xx"><!ENTITY b "&a;&a;">]>{OPEN}><desc>&b;</desc></svg>',
    "a style sheet": f'<?xml-stylesheet href="https://evil.example/x.css"?>{OPEN}/>',
    "another encoding": '<?xml version="1.0" encoding="UTF-7"?>' + f"{OPEN}/>",
    "a base": f'{OPEN} xml:base="https://evil.example/"/>',
    "no size": '<svg xmlns="http://www.w3.org/2000/svg"/>',
    "no end of size": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1e9 1"/>',
    "a size that is no number": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 nan nan"/>',
    "HTML": "<!doctype html><script>alert(1)</script>",
    "another root": f"<html>{OPEN}/></html>",
    "what breaks off": f"{OPEN}><path",
    "nothing": "",
}


def faults_of(folder: Path, **values: str) -> str:
    """Return what is wrong with a theme of these values, written as TOML."""
    lines = "\n".join(f"{name} = {value}" for name, value in values.items())
    file = folder / "countersign.toml"
    file.write_text(f'environment = "development"\n[theme]\n{lines}\n')
    with pytest.raises(SettingsError) as refused:
        load({}, file)
    return str(refused.value)


def toml(text: str) -> str:
    """Return a text as TOML writes it."""
    return '"' + "".join(f"\\u{ord(one):04x}" for one in text) + '"'


@pytest.mark.parametrize("name", ["accent", "background_dark", "text"])
@pytest.mark.parametrize("colour", BREAKS)
def test_a_colour_that_is_more_than_a_colour_stops_the_start(tmp_path: Path, name: str, colour: str) -> None:
    """J6: nothing that a theme sets can end a rule, a sheet or a page."""
    assert f"theme.{name}" in faults_of(tmp_path, **{name: toml(colour)})


@pytest.mark.parametrize("font", FONTS)
def test_the_name_of_a_font_cannot_end_its_rule(tmp_path: Path, font: str) -> None:
    assert "theme.fonts" in faults_of(tmp_path, fonts=f"[{toml(font)}]")


@pytest.mark.parametrize("name", ["terms", "support"])
@pytest.mark.parametrize("link", LINKS)
def test_a_link_that_is_no_link_to_the_operator_stops_the_start(tmp_path: Path, name: str, link: str) -> None:
    assert f"theme.{name}" in faults_of(tmp_path, **{name: toml(link)})


@pytest.mark.parametrize("what", PICTURES)
def test_a_picture_that_runs_fetches_or_is_none_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "logo.svg"
    path.write_text(PICTURES[what])
    with pytest.raises(ThemeFileError):
        read_picture(path)


def test_a_refused_picture_stops_the_start_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_text(PICTURES["a script"])
    fault = faults_of(tmp_path, logo=toml(str(tmp_path / "logo.svg")))
    assert "theme.logo" in fault
    assert "<script>" in fault


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe" + PICTURES["a script"].encode("utf-16-le"),
        SVG.format(width=32, fill="#fff").encode() + b" " * 70_000,
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10\x00\x00\x00\x10<script>",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + b"IHDR" + b"\xff" * 8 + b"IEND\xaeB`\x82",
        b"GIF89a",
    ],
    ids=["sixteen bits", "too large", "a PNG that breaks off", "a PNG of four thousand million pixels", "a GIF"],
)
def test_what_only_looks_like_a_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "logo.svg"
    path.write_bytes(content)
    with pytest.raises(ThemeFileError):
        read_picture(path)


@pytest.mark.parametrize(
    "content", [b"wOF2", b"OTTO" + b"\0" * 60, b"wOF2" + b"\0" * 4 + b"\0\0\0\x40" + b"\0" * 52 + b"}"]
)
def test_what_is_no_font_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "font.woff2"
    path.write_bytes(content)
    with pytest.raises(ThemeFileError):
        read_font(path)


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    assert "theme.font" in faults_of(tmp_path, font='"nowhere.woff2"')


def test_the_sheet_of_a_theme_holds_colours_sizes_and_names_of_fonts_alone(tmp_path: Path) -> None:
    settings = themed_settings(tmp_path)
    for theme in (settings.themes.own, settings.themes.theme_for(SHOP)):
        declared = re.findall(r"--[a-z-]+:([^;}]+)", style_rules(theme))
        assert declared
        value = re.compile(r'#[0-9a-f]{6}|[0-9.]+rem|[A-Za-z0-9", -]+')
        assert [one for one in declared if not value.fullmatch(one)] == []
