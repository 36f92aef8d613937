"""A password: what may be one, and nothing about how it is kept (NIST SP 800-63B-4, 3.1.1.2; ASVS 5.0, 6.2)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

MIN_LENGTH: Final = 8
"""Code points. NIST asks for 15 where a password stands alone; here every new browser needs a code as well (semantics S9)."""
MAX_LENGTH: Final = 256

_SHORTEST_NAME: Final = 2
"""Letters of a name that is looked for: an initial stands in every password, and many a name in Chinese has two."""
_LEFT_OVER: Final = 4
"""Characters beside names that are still nothing to guess: a year, or a mark and a few digits."""
_BETWEEN: Final = str.maketrans("", "", " -_.,@/")
"""What people put between names; it counts for nothing."""
_LOOKS: Final = str.maketrans("0134578@$!|+l", "oieastbasiiti")
"""Signs that are typed for letters. Both 1 and ! stand for i and for l, so these two letters are one."""


class PasswordFault(StrEnum):
    """Why a password is not taken."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    COMMON = "common"
    BREACHED = "breached"
    MADE_OF_NAMES = "made_of_names"


def normalize_password(password: str) -> str:
    """Return a password as it is hashed: in NFC, so that it is the same from every keyboard. Nothing is cut or trimmed."""
    return unicodedata.normalize("NFC", password)


def password_fault(password: str, *, names: Sequence[str], least: int = MIN_LENGTH) -> PasswordFault | None:
    """Say why a password in its normal form is not taken, if rules alone can tell; `least` in code points.

    There is no rule of composition. `names` are those of the site and of the person: a password made of little else is refused.
    """
    if len(password) < least:
        return PasswordFault.TOO_SHORT
    if len(password) > MAX_LENGTH:
        return PasswordFault.TOO_LONG
    if _is_made_of(password, names):
        return PasswordFault.MADE_OF_NAMES
    return None


def _is_made_of(password: str, names: Sequence[str]) -> bool:
    """Say whether hardly anything is left of a password once names are taken out of it, in either reading of its signs."""
    words = set(_words(names))
    plain = password.casefold()
    return _is_covered(plain, words) or _is_covered(plain.translate(_LOOKS), {word.translate(_LOOKS) for word in words})


def _is_covered(text: str, words: Iterable[str]) -> bool:
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    if not longest_first:
        return False
    left, found = re.subn("|".join(map(re.escape, longest_first)), "", text)
    return found > 0 and len(left.translate(_BETWEEN)) <= _LEFT_OVER


def _words(names: Iterable[str]) -> Iterable[str]:
    """Return each part of each name that consists of letters and their marks, in small letters."""
    for name in names:
        folded = unicodedata.normalize("NFC", name).casefold()
        letters = "".join(sign if unicodedata.category(sign)[0] in "LM" else " " for sign in folded)
        yield from (part for part in letters.split() if len(part) >= _SHORTEST_NAME)
