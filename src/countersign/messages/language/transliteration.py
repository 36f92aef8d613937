"""Transliteration: how a language writes its letters in an SMS if the network's default alphabet lacks them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.messages.channels.sms_size import plain, segments

if TYPE_CHECKING:
    from collections.abc import Mapping

# For each language only the letters that GSM-7 lacks (3GPP TS 23.038, 6.2.1), in both cases. It has à è é ì ò ù, ä ö ü,
# ñ and the capitals Ç É Ñ Ä Ö Ü, so those stay. Codes, hosts and links are ASCII. German and English need no table.
SPELLINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "es": {
        **dict(zip("áíóúÁÍÓÚ", "aiouAIOU", strict=True)),
        "ª": "a",
        "º": "o",
    },
    "fr": {
        **dict(zip("âçêëîïôûÿÀÂÈÊËÎÏÔÙÛŸ", "aceeiiouyAAEEEIIOUUY", strict=True)),
        "œ": "oe",
        "Œ": "Oe",
    },
    # A capital with a grave accent is written as the letter and an apostrophe: E' il tuo codice.
    "it": {"À": "A'", "È": "E'", "Ì": "I'", "Ò": "O'", "Ù": "U'", "î": "i", "Î": "I"},
    "nl": {
        **dict(zip("áâêëíîïóôúûÁÂÈÊËÍÎÏÓÔÚÛ", "aaeeiiioouuAAEEEIIIOOUU", strict=True)),
        "ĳ": "ij",
        "Ĳ": "IJ",
    },
    "pl": dict(zip("ąćęłńóśźżĄĆĘŁŃÓŚŹŻ", "acelnoszzACELNOSZZ", strict=True)),
    "pt": {
        **dict(zip("áâãçêíóôõúÁÀÂÃÊÍÓÔÕÚ", "aaaceiooouAAAAEIOOOU", strict=True)),
        "ª": "a",
        "º": "o",
    },
    "tr": dict(zip("âçğîışûÂĞİÎŞÛ", "acgiisuAGIISU", strict=True)),
}
_TABLES: Final = {tag: str.maketrans(dict(letters)) for tag, letters in SPELLINGS.items()}


class Transliteration(StrEnum):
    """`proper` has every letter of the language. `plain` avoids the letters that would cost a further segment."""

    PROPER = "proper"
    PLAIN = "plain"


class TransliteratedText(msgspec.Struct, frozen=True):
    """A text for a phone, and how it is spelled."""

    text: str
    spelling: Transliteration

    def __repr__(self) -> str:
        """Hide the text: it may contain a code."""
        return f"Spelled({self.spelling.value})"


def transliterate(text: str, tag: str) -> TransliteratedText:
    """Return the text in the proper spelling, or in the plain one if that takes fewer segments.

    One letter of another script, for example in a site's name, makes every character cost sixteen bits. Plain spelling then gains nothing,
    and the proper one stays. Typographic characters are replaced in both.
    """
    proper = plain(text)
    if tag in _TABLES:
        without = plainly(proper, tag)
        if segments(without).segments < segments(proper).segments:
            return TransliteratedText(without, Transliteration.PLAIN)
    return TransliteratedText(proper, Transliteration.PROPER)


def plainly(text: str, tag: str) -> str:
    """Return the text in the language's plain spelling, or unchanged if it has none."""
    return text.translate(_TABLES.get(tag, {}))
