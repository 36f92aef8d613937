"""Reads a name that a person typed: of themselves, of an app, a passkey or an integration code. Names of every script are names."""

from __future__ import annotations

import unicodedata
from typing import Final

from countersign.domain.shared.typed_text import is_invisible

JOINERS: Final = frozenset("\u200c\u200d")
"""Zero-width characters without which words of Persian and Indic scripts, and joined emoji, are spelled wrong."""
_REFUSED: Final = frozenset({"Cc", "Cs", "Co", "Zl", "Zp"})
"""Categories of what would break a line, cannot be encoded, or means nothing to anybody else."""
_MAX_TYPED: Final = 1_000
_DRAWN_BY: Final = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), 0x034F)))
"""Variation selectors, which choose how the character before them is drawn: some Japanese names need one."""


def read_name(typed: str, longest: int) -> str:
    """Return a name as it is stored, or an empty text if what was typed is none.

    Joiners stay inside words, spaces of any kind become one space, marks that were copied along are left out (semantics J3).

    Args:
        typed: what was typed or pasted.
        longest: how many characters the name may have.

        >>> read_name(" \u202aAda\u202c\u3000Lovelace ", 80)
        'Ada Lovelace'
    """
    if len(typed) > _MAX_TYPED:
        return ""
    kept: list[str] = []
    for character in unicodedata.normalize("NFC", typed.strip()):
        category = unicodedata.category(character)
        if category in _REFUSED:
            return ""
        if category == "Zs":
            kept.append(" ")
        elif character in JOINERS or character in _DRAWN_BY:
            if kept and kept[-1] not in JOINERS and kept[-1] != " " and not kept[-1].isascii():
                kept.append(character)
        elif not is_invisible(character):
            kept.append(character)
    name = " ".join("".join(kept).split()).rstrip("".join(JOINERS))
    return name if 0 < len(name) <= longest and any(not unicodedata.combining(one) for one in name) else ""


def read_label(typed: str, longest: int) -> str:
    """Return the name of a thing, such as an app or a code: what no name may hold is left out, and a long one is cut.

    An empty text means that nothing is left.
    """
    kept = "".join(one for one in typed[:_MAX_TYPED] if unicodedata.category(one) not in _REFUSED)
    return read_name(kept.strip()[:longest], longest)
