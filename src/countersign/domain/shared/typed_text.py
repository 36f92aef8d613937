"""Tidies what people type and paste. Every field that takes a code or a telephone number reads it through this module."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

MAX_TYPED: Final = 4_000
"""Characters that are read of one field: more than the longest message that holds a code (semantics L5)."""

_DASHES: Final = frozenset("\u02d7\u2043\u2212\u2500\u30fc")
"""What is typed or pasted for a dash, and is none by its category: modifier, bullet, minus, a line, the Japanese long vowel."""
_BLANK: Final = "\u2800"
_LINE_ENDS: Final = frozenset("\n\r\v\f\x85\u2028\u2029")
_IGNORABLE: Final = frozenset(
    map(
        chr,
        (
            0x034F,
            0x115F,
            0x1160,
            0x17B4,
            0x17B5,
            *range(0x180B, 0x1810),
            0x3164,
            *range(0xFE00, 0xFE10),
            0xFFA0,
            *range(0xE0000, 0xE1000),
        ),
    )
)
"""What is drawn as nothing, and is no format character (Unicode, DerivedCoreProperties: Default_Ignorable_Code_Point)."""


def tidy(typed: str) -> str:
    """Return a text in plain characters, with its lines kept.

    Digits of any script become ASCII, dashes `-`, spaces a space, line ends a line feed. Compatibility forms become plain ones (NFKC).
    Characters that nobody sees are left out, and so are marks above and below others.

        >>> tidy("\u202a\u0664\u0669\u2013\u0667\u202c")
        '49-7'
    """
    if typed.isascii() and typed.isprintable():
        return typed
    return "".join(map(_plain_form, typed.replace("\r\n", "\n")))


def without_marks(typed: str) -> str:
    """Return a text without characters that nobody sees and without spaces at its ends. Everything else stays as it was typed."""
    if typed.isascii() and typed.isprintable():
        return typed.strip()
    return "".join(one for one in typed if not is_invisible(one)).strip()


def is_invisible(character: str) -> bool:
    """Return True for a character that is drawn as nothing: zero-width, direction marks, soft hyphens, variation selectors."""
    return character in _IGNORABLE or unicodedata.category(character) == "Cf"


@lru_cache(maxsize=4_096)
def _plain_form(character: str) -> str:
    """Return what stands for one character. A text of letters that are each written out as many costs one look-up a letter."""
    return "".join(map(_plain, unicodedata.normalize("NFKC", character)))


def _plain(character: str) -> str:
    if character in _LINE_ENDS:
        return "\n"
    if character.isascii() and character.isprintable():
        return character
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Pd" or character in _DASHES:
        return "-"
    if category[0] == "Z" or category == "Cc" or character == _BLANK:
        return " "
    if category in {"Cf", "Mn", "Me"} or character in _IGNORABLE:
        return ""
    return character
