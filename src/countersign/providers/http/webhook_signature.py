"""Standard Webhooks: how a request and its time are signed, and how such a signature is judged.

Source: the specification at github.com/standard-webhooks/standard-webhooks, `spec/standard-webhooks.md`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from typing import Final

from countersign.errors import InputError

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"
TOLERANCE: Final = 300
"""Seconds by which the clocks of the two sides may differ, either way."""

_PREFIX: Final = "whsec_"
_LENGTHS: Final = range(24, 65)  # bytes
_MAX_SIGNATURES: Final = 16
_MAX_ID: Final = 256
_SECONDS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


def key_of(secret: str) -> bytes:
    """Return the key that `secret` (`whsec_` and base64) stands for; raises ValueError if it is none, or not 24 to 64 bytes."""
    if not secret.startswith(_PREFIX):
        raise ValueError("no prefix")
    key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    if len(key) not in _LENGTHS:
        raise ValueError("length")
    return key


def sign(key: bytes, identifier: str, seconds: int, body: bytes) -> dict[str, str]:
    """Return the three headers for `body`, sent at `seconds` since the epoch."""
    return {
        ID: identifier,
        TIMESTAMP: str(seconds),
        SIGNATURE: "v1," + base64.b64encode(_digest(key, identifier, str(seconds), body)).decode(),
    }


def verify(key: bytes, headers: Mapping[str, str], body: bytes, seconds: int) -> None:
    """Return if one of the signatures in `headers` (names in any case) is right and fresh; raises InputError otherwise."""
    given = {name.lower(): value for name, value in headers.items()}
    identifier, timestamp, signatures = (given.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not identifier or len(identifier) > _MAX_ID or not _SECONDS.fullmatch(timestamp):
        raise InputError("headers", "malformed", f"The request needs {ID}, {TIMESTAMP} and {SIGNATURE}.")
    expected = _digest(key, identifier, timestamp, body)
    matched = False
    for signature in signatures.split(" ")[:_MAX_SIGNATURES]:
        version, _, encoded = signature.partition(",")
        if version != "v1":
            continue
        try:
            found = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        matched |= hmac.compare_digest(expected, found)
    if not matched:
        raise InputError(
            "headers", "bad_signature", "No signature matches; sign with the secret this provider is set to."
        )
    # Only now: who holds no key learns nothing of our clock.
    if abs(seconds - int(timestamp)) > TOLERANCE:
        raise InputError(
            "headers",
            "stale_signature",
            f"{TIMESTAMP} is more than {TOLERANCE} seconds away from now; sign anew, check the clock.",
        )


def _digest(key: bytes, identifier: str, timestamp: str, body: bytes) -> bytes:
    return hmac.digest(key, f"{identifier}.{timestamp}.".encode("utf-8", "surrogatepass") + body, "sha256")
