"""Identifiers with a prefix. They sort by creation time and hold 80 random bits, as a ULID does."""

from __future__ import annotations

from typing import Final

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, in the order of its values
RANDOM_BYTES: Final = 10
_LENGTH: Final = 26
_PAIRS: Final = [high + low for high in ALPHABET for low in ALPHABET]


def make(prefix: str, now: int, random_bytes: bytes) -> str:
    """Return a new identifier: `prefix`, an underscore and 26 symbols.

    The symbols hold `now` (48 bits of ms since the epoch), then `random_bytes` (10 bytes).

        >>> make("ver", 0, bytes(10))
        'ver_00000000000000000000000000'
    """
    number = (now << 80) | int.from_bytes(random_bytes)
    pairs: list[str] = []
    for _ in range(_LENGTH // 2):
        number, pair = divmod(number, 1024)
        pairs.append(_PAIRS[pair])
    return f"{prefix}_{''.join(reversed(pairs))}"


def is_identifier(prefix: str, text: str) -> bool:
    """Return True if `text` has the form of an identifier with this prefix."""
    return (
        len(text) == len(prefix) + 1 + _LENGTH
        and text.startswith(prefix + "_")
        and not text[len(prefix) + 1 :].strip(ALPHABET)
    )
