"""Reads the pictures and the font of a theme, and refuses whatever could run, fetch or be something else.

A picture is refused and never repaired: what was removed from a logo without a word would be missed by its owner.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from countersign.domain.look.theme import Font, Picture

MAX_PICTURE: Final = 64 * 1024
"""Bytes of a logo or an icon."""

MAX_FONT: Final = 100 * 1024
"""Bytes of a font. It travels inside the style sheet, which a page waits for."""

MAX_SIDE: Final = 4_096
"""Pixels of the longer side of a picture."""

_SVG: Final = "{http://www.w3.org/2000/svg}"
_XLINK: Final = "{http://www.w3.org/1999/xlink}"
_XML: Final = "{http://www.w3.org/XML/1998/namespace}"
_ELEMENTS: Final = frozenset(
    [
        "svg",
        "g",
        "defs",
        "title",
        "desc",
        "path",
        "rect",
        "circle",
        "ellipse",
        "line",
        "polyline",
        "polygon",
        "text",
        "tspan",
        "textPath",
        "symbol",
        "use",
        "clipPath",
        "mask",
        "pattern",
        "marker",
        "linearGradient",
        "radialGradient",
        "stop",
        "style",
        "filter",
        "feBlend",
        "feColorMatrix",
        "feComponentTransfer",
        "feComposite",
        "feFlood",
        "feFuncA",
        "feFuncB",
        "feFuncG",
        "feFuncR",
        "feGaussianBlur",
        "feMerge",
        "feMergeNode",
        "feMorphology",
        "feOffset",
        "feDropShadow",
    ]
)
_REFERENCE: Final = re.compile(
    r"url\(\s*(?![\"']?#)|@import|image-set|javascript:|data:|https?:|//|expression\(|\\", re.IGNORECASE
)
_DECLARED: Final = re.compile(
    r"""\A\s*<\?xml\s+version=["']1\.[01]["'](?:\s+encoding=["']utf-8["'])?(?:\s+standalone=["'](?:yes|no)["'])?\s*\?>""",
    re.IGNORECASE,
)
_LENGTH: Final = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,9})?)(?:px)?")
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_WOFF2: Final = b"wOF2"
_WOFF2_HEADER: Final = 48
_FVAR: Final = 47
"""The number of the table of variations among the known tables (WOFF2, 5.1)."""


class ThemeFileError(Exception):
    """A file of a theme cannot be used; the text is a sentence that says why."""


def read_picture(path: Path) -> Picture:
    """Return a checked SVG or PNG. Raises ThemeFileError, which says what is wrong."""
    content = _read(path, MAX_PICTURE)
    if content.startswith(_PNG):
        return _png(content)
    return _svg(content)


def read_font(path: Path) -> Font:
    """Return a checked WOFF2 file. Raises ThemeFileError, which says what is wrong."""
    content = _read(path, MAX_FONT)
    if content[:4] != _WOFF2 or len(content) < _WOFF2_HEADER or int.from_bytes(content[8:12]) != len(content):
        raise ThemeFileError("it is no WOFF2 font")
    try:
        tables = list(_tables(content))
    except IndexError:
        raise ThemeFileError("it is no WOFF2 font") from None
    return Font(content, variable=_FVAR in tables)


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise ThemeFileError(f"it cannot be read ({error.strerror})") from error
    if len(content) > most:
        raise ThemeFileError(f"it is larger than {most // 1024} KiB")
    return content


def _png(content: bytes) -> Picture:
    width, height = int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    if content[12:16] != b"IHDR" or not content.endswith(b"IEND\xaeB`\x82"):
        raise ThemeFileError("it is no whole PNG")
    return _sized(content, "png", width, height)


def _sized(content: bytes, kind: str, width: float, height: float) -> Picture:
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise ThemeFileError(f"its size is not between 1 and {MAX_SIDE} pixels")
    return Picture(content, kind, max(1, round(width)), max(1, round(height)))


def _svg(content: bytes) -> Picture:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ThemeFileError("it is neither a PNG nor an SVG in UTF-8") from None
    body = _DECLARED.sub("", text, count=1)
    # A document type could define entities, and an instruction could name a style sheet elsewhere.
    if re.search(r"<!doctype|<!entity|<\?", body, re.IGNORECASE):
        raise ThemeFileError("it has a document type, an entity or a processing instruction; save it as plain SVG")
    try:
        root = ET.fromstring(body)  # noqa: S314 - it has no DTD, so nothing can be expanded or fetched
    except (ET.ParseError, ValueError, RecursionError):
        raise ThemeFileError("it is neither a PNG nor a well-formed SVG") from None
    if root.tag != f"{_SVG}svg":
        raise ThemeFileError("it is neither a PNG nor an SVG")
    for element in root.iter():
        _check_element(element)
    width, height = _size(root)
    return _sized(content, "svg", width, height)


def _check_element(element: ET.Element) -> None:
    name = str(element.tag)
    if not name.startswith(_SVG) or name.removeprefix(_SVG) not in _ELEMENTS:
        shown = name.rpartition("}")[2]
        raise ThemeFileError(f"it has the element <{shown}>, which a logo does not need; save it as plain SVG")
    for attribute, value in element.attrib.items():
        plain = attribute.removeprefix(_XLINK).removeprefix(_XML)
        if plain.startswith("{"):
            raise ThemeFileError("it has an attribute of another vocabulary; save it as plain SVG")
        if plain.lower().startswith("on"):
            raise ThemeFileError(f"it has the attribute {plain}, which runs a script")
        if plain == "base" or (plain == "href" and not value.strip().startswith("#")):
            raise ThemeFileError("it refers to something outside of itself")
        if _REFERENCE.search(value):
            raise ThemeFileError(f"its attribute {plain} refers to something outside of the picture")
    if name == f"{_SVG}style" and _REFERENCE.search("".join(element.itertext())):
        raise ThemeFileError("its style refers to something outside of the picture")


def _size(root: ET.Element) -> tuple[float, float]:
    """Return width and height: of the view box, else as written."""
    box = [part for part in re.split(r"[\s,]+", root.get("viewBox", "").strip()) if part]
    if len(box) == 4:  # noqa: PLR2004 - left, top, width, height
        try:
            return float(box[2]), float(box[3])
        except ValueError:
            pass
    found = [_LENGTH.fullmatch(root.get(side, "").strip()) for side in ("width", "height")]
    if found[0] is None or found[1] is None:
        raise ThemeFileError("it has neither a viewBox nor a width and a height in pixels")
    return float(found[0][1]), float(found[1][1])


def _tables(content: bytes) -> Iterator[int]:
    """Yield the number of each table of a WOFF2 font; 63 for one that is not among the known ones. Raises IndexError if it breaks off."""
    place = _WOFF2_HEADER
    for _ in range(int.from_bytes(content[12:14])):
        flags = content[place]
        number, version = flags & 0x3F, flags >> 6
        place += 1 if number < 0x3F else 5  # noqa: PLR2004 - its own name follows
        yield number
        place = _after_number(content, place)
        # `glyf` and `loca` (10, 11) are transformed unless they say 3, the others only if they say more than 0.
        if (version != 3) if number in {10, 11} else version:  # noqa: PLR2004
            place = _after_number(content, place)


def _after_number(content: bytes, place: int) -> int:
    while content[place] & 0x80:
        place += 1
    return place + 1
