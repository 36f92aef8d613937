"""Reads a code out of what a person typed or pasted: the code alone, in groups, or inside the message that brought it (semantics J3)."""

from __future__ import annotations

import re
from typing import Final

from countersign.domain.shared.typed_text import MAX_TYPED, tidy

_LOOK_ALIKES: Final = {"O": "0", "I": "1", "L": "1"}
_BETWEEN: Final = str.maketrans("", "", " -\n\t")
_AROUND_DASH: Final = re.compile(r" *- *")
_SPACES: Final = re.compile(r"[ \t]+")
_TOKEN: Final = re.compile(r"(?<![0-9A-Za-z])(?<![0-9][.,:/])[0-9A-Za-z]+(?![0-9A-Za-z])(?![.,:/][0-9])")
"""A run of letters and digits that is no part of a time, a date, a price or an address."""


def read_code(typed: str, symbols: str, length: int) -> str | None:
    """Return the code that was typed, or None if what was typed cannot be one.

    Spaces and dashes of any kind, case, and digits of any script are forgiven. O, I and l stand for 0 and 1 where the alphabet has the
    digit and not the letter. In a longer text exactly one code must be found: with two different ones there is no telling which is meant.

    Args:
        typed: what the person typed or pasted.
        symbols: the alphabet, letters in one case.
        length: how many symbols the code has.

        >>> read_code("623 339 is your code. It is valid for 10 minutes.", "0123456789", 6)
        '623339'
    """
    if len(typed) > MAX_TYPED:
        return None
    text = tidy(typed)
    if len(text) > MAX_TYPED:  # one letter can be written out as eighteen
        return None
    whole = _meant(text.translate(_BETWEEN), symbols)
    if len(whole) == length and _fits(whole, symbols):
        return whole
    found = _codes_in(text, symbols, length)
    return found.pop() if len(found) == 1 else None


def _meant(typed: str, symbols: str) -> str:
    """Return what was typed in the case of the alphabet, each look-alike as the symbol that it resembles."""
    upper = "".join(one.upper() if one.isascii() else one for one in typed)
    has_letters = any(one.isalpha() for one in symbols)
    known = symbols.upper()
    read = "".join(
        _LOOK_ALIKES[one] if one in _LOOK_ALIKES and one not in known and _LOOK_ALIKES[one] in known else one
        for one in upper
    )
    return read.lower() if has_letters and symbols == symbols.lower() else read


def _fits(text: str, symbols: str) -> bool:
    return all(one in symbols for one in text)


def _codes_in(text: str, symbols: str, length: int) -> set[str]:
    """Return the different codes in a longer text: undivided runs, and runs of equal groups that one kind of separator divides."""
    text = _AROUND_DASH.sub("-", _SPACES.sub(" ", text))
    found: set[str] = set()
    chain: list[str] = []
    separator, end = "", -1
    for match in _TOKEN.finditer(text):
        token = match[0] if symbols.isdigit() else _meant(match[0], symbols)
        gap = text[end : match.start()] if end >= 0 else ""
        end = match.end()
        if not _fits(token, symbols):
            found |= _joined(chain, length)
            chain, separator = [], ""
            continue
        if len(token) == length:
            found.add(token)
        if not chain or gap not in {" ", "-"}:
            found |= _joined(chain, length)
            chain, separator = [token], ""
        elif gap == separator or len(chain) == 1:
            chain.append(token)
            separator = gap
        else:
            found |= _joined(chain, length)
            chain, separator = [chain[-1], token], gap
    return found | _joined(chain, length)


def _joined(chain: list[str], length: int) -> set[str]:
    """Return the code that equal groups make together, if they make one."""
    is_divided = len(chain) > 1 and len({len(group) for group in chain}) == 1
    code = "".join(chain)
    return {code} if is_divided and len(code) == length else set()
