"""One-time codes: derived from a key and a challenge id, never stored, and compared in constant time."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.shared.typed_code import read_code

MIN_LENGTH: Final = 4
MAX_LENGTH: Final = 10

DIGITS: Final = "0123456789"
# The alphabet of Microsoft's product keys, without Z: no 0 O, 1 I L, 5 S, 2 Z, and no vowels, so no words.
UNAMBIGUOUS: Final = "2346789BCDFGHJKMPQRTVWXY"

_WORD_BITS: Final = 64
_WORD_BYTES: Final = _WORD_BITS // 8


class Alphabet(StrEnum):
    """The set of symbols that a code is made of."""

    DIGITS = "digits"
    ALPHANUMERIC = "alphanumeric"

    @property
    def symbols(self) -> str:
        """Return the symbols in the order of their values."""
        return DIGITS if self is Alphabet.DIGITS else UNAMBIGUOUS


class CodeShape(msgspec.Struct, frozen=True):
    """The length of a code (4 to 10 symbols) and its alphabet."""

    length: int = 6
    alphabet: Alphabet = Alphabet.DIGITS

    @property
    def space(self) -> int:
        """Return the number of different codes."""
        space: int = len(self.alphabet.symbols) ** self.length
        return space


class Code:
    """A code in clear text. No repr, log or error shows it; only a message may call `reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the code. Only the code that renders a message may call this."""
        return self._value

    def matches(self, typed: str) -> bool:
        """Return True if `typed` (normalized) is this code. The time does not depend on the position of a difference."""
        return hmac.compare_digest(self._value.encode(), typed.encode("utf-8", "surrogatepass"))

    def __repr__(self) -> str:
        """Hide the code."""
        return "Code(hidden)"

    __str__ = __repr__


def derive(key: bytes, challenge_id: str, round_: int, shape: CodeShape) -> Code:
    """Return the code of a round of a challenge. Every value of `shape` is equally likely, and leading zeros are kept.

    The bytes are HMAC-SHA256(key, challenge id ":" round ":" block) (FIPS 198-1), read as 64-bit words. Words that would favour small
    values are rejected (rejection sampling, NIST SP 800-90A B.5.1).
    """
    return Code(encode_number(sample(_words(key, challenge_id, round_), shape.space), shape))


def sample(words: Iterator[int], space: int) -> int:
    """Return the first word below the largest multiple of `space`, modulo `space`. No value is favoured."""
    limit = (1 << _WORD_BITS) - (1 << _WORD_BITS) % space
    for word in words:
        if word < limit:
            return word % space
    raise AssertionError("the stream of words has no end")  # pragma: no cover


def encode_number(number: int, shape: CodeShape) -> str:
    """Return `number` (0 to space - 1) in the alphabet, padded to the full length with its first symbol."""
    if shape.alphabet is Alphabet.DIGITS:
        return str(number).zfill(shape.length)
    symbols = shape.alphabet.symbols
    base = len(symbols)
    written: list[str] = []
    for _ in range(shape.length):
        number, digit = divmod(number, base)
        written.append(symbols[digit])
    return "".join(reversed(written))


def read(typed: str, shape: CodeShape) -> str | None:
    """Return the code that a person meant, or None if what they typed cannot be a code of this shape (semantics C9, J3).

    >>> read("12 34-56", CodeShape())
    '123456'
    """
    if typed.isascii() and typed.isdigit() and shape.alphabet is Alphabet.DIGITS:
        return typed if len(typed) == shape.length else None
    return read_code(typed, shape.alphabet.symbols, shape.length)


def _words(key: bytes, challenge_id: str, round_: int) -> Iterator[int]:
    block = 0
    while True:
        digest = hmac.digest(key, f"{challenge_id}:{round_}:{block}".encode(), "sha256")
        for start in range(0, len(digest), _WORD_BYTES):
            yield int.from_bytes(digest[start : start + _WORD_BYTES])
        block += 1
