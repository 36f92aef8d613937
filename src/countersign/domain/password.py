"""A password: what may be one, and nothing about how it is kept (NIST SP 800-63B-4, 3.1.1.2; ASVS 5.0, 6.2)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

LEAST: Final = 8
"""Code points. NIST asks for 15 where a password stands alone; here every new browser needs a code as well (semantics S9)."""
MOST: Final = 256

_SHORTEST_NAME: Final = 4
"""Letters of a name that are looked for: a shorter one stands in too many good passwords by chance."""
_LEFT_OVER: Final = 4
"""Characters beside names that are still nothing to guess."""
_LOOKS: Final = str.maketrans("0134578@$!+", "oieastbasit")
_PARTS: Final = re.compile(r"[^\W\d_]+")


class PasswordFault(StrEnum):
    """Why a password is not taken."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    COMMON = "common"
    BREACHED = "breached"
    MADE_OF_NAMES = "made_of_names"


def normal(password: str) -> str:
    """Return a password as it is hashed: in NFC, so that it is the same from every keyboard. Nothing is cut or trimmed."""
    return unicodedata.normalize("NFC", password)


def faults(password: str, *, names: Sequence[str], least: int = LEAST) -> PasswordFault | None:
    """Say why a password in its normal form is not taken, if rules alone can tell.

    There is no rule of composition. `names` are those of the site and of the person: a password made of little else is refused.
    """
    if len(password) < least:
        return PasswordFault.TOO_SHORT
    if len(password) > MOST:
        return PasswordFault.TOO_LONG
    if _is_made_of(password, names):
        return PasswordFault.MADE_OF_NAMES
    return None


def _is_made_of(password: str, names: Sequence[str]) -> bool:
    """Say whether hardly anything is left of a password once names are taken out of it, in either reading of its digits."""
    words = sorted(set(_words(names)), key=len, reverse=True)
    plain = password.casefold()
    for text in (plain, plain.translate(_LOOKS)):
        left = text
        for word in words:
            left = left.replace(word, "")
        if left != text and len(left) <= _LEFT_OVER:
            return True
    return False


def _words(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        folded = unicodedata.normalize("NFC", name).casefold()
        yield from (part for part in _PARTS.findall(folded) if len(part) >= _SHORTEST_NAME)
        whole = "".join(_PARTS.findall(folded))
        if len(whole) >= _SHORTEST_NAME:
            yield whole
