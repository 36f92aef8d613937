"""Make and read the addresses that bounces come back to: one for each challenge or notice, which nobody else can make up.

`bounces+OWNER.MARK@example.org`: OWNER is the id of the challenge or notice, MARK a keyed hash of it. Only the recipient and the servers on
the way have seen the address, so mail that arrives there is about a message of that owner. All its messages have the same address: a mail
server that greylists knows sender and recipient again, whichever try or resend it sees (semantics D9). Earlier releases put the key of each
message there, which is still read. (After D. J. Bernstein, "Variable Envelope Return Paths", 1997.)
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
"""64 bits are enough: each guess costs one mail."""

MAX_LOCAL: Final = 64
"""Octets of the part before the @ (RFC 5321, 4.5.3.1.1)."""

MAX_NAME: Final = 12
"""Characters of a name such as `bounces`, which leave room for the longest key and its mark."""

Mark = Callable[[str], bytes]
"""Computes the keyed hash of what an address names; its first MARK_BYTES are used."""

_TAIL: Final = re.compile(r"[^+@]{1,64}\+([a-z]{3}_[0-9a-z]{26}(?:\.\d{1,3}\.\d{1,3})?)\.([a-z2-7]{13})@.+", re.ASCII)
_NAME: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_NAME}}}", re.ASCII)


def check_bounce_address(address: str) -> None:
    """Raise SettingsError unless keys and marks can be put into `address`."""
    try:
        sound = (
            parse_contact(address).kind is ContactKind.MAIL and _NAME.fullmatch(address.rpartition("@")[0]) is not None
        )
    except InputError:
        sound = False
    if not sound:
        raise SettingsError(
            f"bounce_address must be one such as bounces@example.org: at most {MAX_NAME} letters, digits, `.`, `_` and `-` before the"
            " @, since a plus and the key of each message are put behind them."
        )


def make_return_path(address: str, key: str, mark: Mark) -> str:
    """Return the address that the bounces of messages come back to.

    Arguments:
        address: the `bounce_address` of the settings.
        key: the id of the challenge or notice that owns the messages.
        mark: the keyed hash to mark it with.

    The result is `address` itself if there is no room for the key.

    >>> make_return_path("bounces@example.org", "ver_01j...0", mark)
    'bounces+ver_01j...0.mfrggzdfmztwq@example.org'

    """
    name, _, domain = address.rpartition("@")
    local = f"{name}+{key}.{_encode(mark(key))}"
    return f"{local}@{domain}" if len(local) <= MAX_LOCAL else address


def read_return_path(address: str, mark: Mark) -> str | None:
    """Return the id, or the key of the message, that `address` was made for; None if `make_return_path` did not make it."""
    found = _TAIL.fullmatch(address.lower())
    if found is None or not hmac.compare_digest(found[2], _encode(mark(found[1]))):
        return None
    return found[1]


def _encode(mark: bytes) -> str:
    """Return a mark in base32 without padding, in lower case: letters that no server changes."""
    return base64.b32encode(mark[:MARK_BYTES]).decode().rstrip("=").lower()
