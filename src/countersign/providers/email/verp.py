"""Addresses that bounces come back to: one for each message, which nobody else can make up.

`bounces+KEY.MARK@example.org`: KEY names the delivery, MARK is a keyed hash of it. Only who was sent the message, and the servers on
its way, have seen the address; so what arrives there is about that message. (The idea is D. J. Bernstein's, "Variable Envelope
Return Paths", 1997.)
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from typing import Final

from countersign.domain.shared.contact import ContactKind, parse_contact
from countersign.errors import InputError, SettingsError

MARK_BYTES: Final = 8
"""64 bits: each guess costs a mail."""

MAX_LOCAL: Final = 64
"""Octets of the part before the @ (RFC 5321, 4.5.3.1.1)."""

MAX_NAME: Final = 12
"""Characters of a name such as `bounces`, so that the longest key and its mark have room behind it."""

Mark = Callable[[str], bytes]
"""The keyed hash of a delivery's key; its first MARK_BYTES are used."""

_TAIL: Final = re.compile(r"[^+@]{1,64}\+([a-z]{3}_[0-9a-z]{26}\.\d{1,3}\.\d{1,3})\.([a-z2-7]{13})@.+", re.ASCII)
_NAME: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_NAME}}}", re.ASCII)


def check(address: str) -> None:
    """Raise SettingsError unless `address` can be the one that bounces come back to."""
    try:
        sound = (
            parse_contact(address).kind is ContactKind.MAIL and _NAME.fullmatch(address.rpartition("@")[0]) is not None
        )
    except InputError:
        sound = False
    if not sound:
        raise SettingsError(
            f"smtp bounce_address is one such as bounces@example.org: at most {MAX_NAME} letters, digits, `.`, `_` and `-` before the"
            " @, for a plus and the key of a message are put behind them."
        )


def return_path(address: str, key: str, mark: Mark) -> str:
    """Return the address that the bounce of the message `key` comes back to; `address` itself where its local part had no room."""
    name, _, domain = address.rpartition("@")
    local = f"{name}+{key}.{_written(mark(key))}"
    return f"{local}@{domain}" if len(local) <= MAX_LOCAL else address


def key_of(address: str, mark: Mark) -> str | None:
    """Return the key of the message whose bounces come back to `address`; None if it was not made here."""
    found = _TAIL.fullmatch(address.lower())
    if found is None or not hmac.compare_digest(found[2], _written(mark(found[1]))):
        return None
    return found[1]


def _written(mark: bytes) -> str:
    """Return a mark in letters that no server changes: base32 without padding, in lower case."""
    return base64.b32encode(mark[:MARK_BYTES]).decode().rstrip("=").lower()
