"""Identifiers: prefixed, sortable by the time they were made, with 80 bits of chance."""

from __future__ import annotations

from typing import Final

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, in the order of its values
RANDOM_BYTES: Final = 10
_LENGTH: Final = 26
_PAIRS: Final = [high + low for high in ALPHABET for low in ALPHABET]


def make(prefix: str, now: int, random_bytes: bytes) -> str:
    """Return `prefix` + "_" + 26 symbols: 48 bits of milliseconds, then the 80 bits of `chance`, as a ULID orders them."""
    number = (now << 80) | int.from_bytes(random_bytes)
    pairs: list[str] = []
    for _ in range(_LENGTH // 2):
        number, pair = divmod(number, 1024)
        pairs.append(_PAIRS[pair])
    return f"{prefix}_{''.join(reversed(pairs))}"


def is_identifier(prefix: str, text: str) -> bool:
    """Say whether `text` has the form of such an identifier."""
    return (
        len(text) == len(prefix) + 1 + _LENGTH
        and text.startswith(prefix + "_")
        and not text[len(prefix) + 1 :].strip(ALPHABET)
    )
