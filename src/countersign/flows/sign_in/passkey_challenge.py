"""The challenge that a sign-in page offers to a browser which can fill in a passkey (WebAuthn, conditional mediation).

Nothing is stored when a page is shown. The challenge holds its own time under a keyed hash, and is used up when it signs somebody in. It
names no account.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from countersign.flows.accounts.context import AccountContext

OFFER_LIFETIME: Final = 15 * 60_000
"""Milliseconds in which the challenge of a page can be answered. The page asks for a new one before they are over."""
_TIME_BYTES: Final = 8
_RANDOM_BYTES: Final = 16
_CONTENT_BYTES: Final = _TIME_BYTES + _RANDOM_BYTES
_WHAT: Final = "passkey challenge"


def offered_challenge(context: AccountContext, device: str) -> str:
    """Return a new challenge for a page, in base64url. `device` is the secret of the browser's device cookie, empty if it has none."""
    content = context.now().to_bytes(_TIME_BYTES) + context.random_bytes(_RANDOM_BYTES)
    mac = context.keyring.blind_index(_WHAT, content.hex(), device)
    return base64.urlsafe_b64encode(content + mac).rstrip(b"=").decode()


def is_offered(context: AccountContext, challenge: bytes, device: str) -> bool:
    """Return True if a page of ours has offered this challenge to this browser, and not too long ago.

    One that was offered to a browser without a device cookie is answered with whichever cookie that browser has got since.
    """
    content, mac = challenge[:_CONTENT_BYTES], challenge[_CONTENT_BYTES:]
    if not 0 <= context.now() - offered_at(challenge) < OFFER_LIFETIME:
        return False
    return any(context.keyring.is_hash_of(mac, _WHAT, content.hex(), one) for one in (device, ""))


def offered_at(challenge: bytes) -> int:
    """Return when a challenge was offered (ms); it means something only if `is_offered`."""
    return int.from_bytes(challenge[:_TIME_BYTES])


def use_key(context: AccountContext, challenge: bytes) -> bytes:
    """Return the key under which an offered challenge is used up."""
    return context.keyring.blind_index("used passkey challenge", challenge.hex())
