"""Which passwords are accepted: the rules on length and on words that are easy to guess.

Sources: NIST SP 800-63B-4, 3.1.1.2, and OWASP ASVS 5.0, 6.2. How a password is hashed is in `countersign.passwords`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

MIN_LENGTH: Final = 8
"""Code points. NIST asks for 15 where the password is the only factor; here a new browser needs a code as well (semantics S9)."""
MAX_LENGTH: Final = 256
"""Code points. A longer text is refused before it is hashed."""

_MIN_WORD: Final = 2
"""Letters of the shortest word that counts. A single initial occurs in most passwords; many Chinese names have two letters."""
_MAX_REMAINDER: Final = 4
"""Characters beside such words that add nothing: a year, or a sign and a few digits."""
_SEPARATORS: Final = str.maketrans("", "", " -_.,@/")
"""What people write between words. It does not count as part of the remainder."""
_LOOKALIKES: Final = str.maketrans("0134578@$!|+l", "oieastbasiiti")
"""Signs that people type in place of letters. 1 and ! are typed for i and for l, so these two letters are treated as one."""


class PasswordFault(StrEnum):
    """Why a password is refused. The values are shown by the API and translated for the pages."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    COMMON = "common"
    BREACHED = "breached"
    MADE_OF_NAMES = "made_of_names"


def normalize_password(password: str) -> str:
    """Return the password in Unicode normalization form NFC, the form that is checked and hashed.

    So the same password can be typed on every keyboard. Nothing is trimmed, cut or folded.
    """
    return unicodedata.normalize("NFC", password)


def password_fault(
    password: str, *, context_words: Sequence[str], min_length: int = MIN_LENGTH
) -> PasswordFault | None:
    """Return why a password is refused, as far as rules can tell; None if it is acceptable. There is no rule of composition.

    `password` is normalized and `min_length` counts code points. `context_words` are texts that are easy to guess here: the name of the
    site, the user's name and address. A password made of little else is refused. For example:

        password_fault("Lovelace1815", context_words=["Ada Lovelace"])  # PasswordFault.MADE_OF_NAMES
    """
    if len(password) < min_length:
        return PasswordFault.TOO_SHORT
    if len(password) > MAX_LENGTH:
        return PasswordFault.TOO_LONG
    if _is_made_of(password, context_words):
        return PasswordFault.MADE_OF_NAMES
    return None


def _is_made_of(password: str, context_words: Sequence[str]) -> bool:
    """Return True if hardly anything is left of the password without these words, with its signs as typed or read as letters."""
    words = set(_words_of(context_words))
    as_typed = password.casefold()
    as_letters = as_typed.translate(_LOOKALIKES)
    return _is_covered(as_typed, words) or _is_covered(as_letters, {word.translate(_LOOKALIKES) for word in words})


def _is_covered(text: str, words: Iterable[str]) -> bool:
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    if not longest_first:
        return False
    remainder, count = re.subn("|".join(map(re.escape, longest_first)), "", text)
    return count > 0 and len(remainder.translate(_SEPARATORS)) <= _MAX_REMAINDER


def _words_of(texts: Iterable[str]) -> Iterable[str]:
    """Yield the words of these texts, case-folded: runs of letters with their combining marks."""
    for text in texts:
        folded = unicodedata.normalize("NFC", text).casefold()
        letters = "".join(sign if unicodedata.category(sign)[0] in "LM" else " " for sign in folded)
        yield from (word for word in letters.split() if len(word) >= _MIN_WORD)
