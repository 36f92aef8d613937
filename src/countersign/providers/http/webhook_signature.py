"""Sign and verify requests by the Standard Webhooks specification.

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


def parse_secret(secret: str) -> bytes:
    """Return the key in a secret (`whsec_` and the base64 of 24 to 64 bytes); raises ValueError if it is no such text."""
    if not secret.startswith(_PREFIX):
        raise ValueError("no prefix")
    key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    if len(key) not in _LENGTHS:
        raise ValueError("length")
    return key


def sign(key: bytes, identifier: str, seconds: int, body: bytes) -> dict[str, str]:
    """Return the three headers that sign a request.

    Arguments:
        key: the shared key; see `parse_secret`.
        identifier: the id of the message, the same in every try, so that the receiver can drop repetitions.
        seconds: when it is sent, since the epoch.
        body: the body to send.

    """
    return {
        ID: identifier,
        TIMESTAMP: str(seconds),
        SIGNATURE: "v1," + base64.b64encode(_digest(key, identifier, str(seconds), body)).decode(),
    }


def verify(key: bytes, headers: Mapping[str, str], body: bytes, seconds: int) -> None:
    """Return if one of the signatures is right and at most TOLERANCE seconds old; raise InputError otherwise.

    Arguments:
        key: the shared key; see `parse_secret`.
        headers: the headers of the request, names in any case.
        body: the body of the request.
        seconds: now, since the epoch.

    """
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
            "headers",
            "bad_signature",
            "No signature matches; sign with the secret that the settings of this provider hold.",
        )
    # The time is checked last: without the key nobody learns what our clock says.
    if abs(seconds - int(timestamp)) > TOLERANCE:
        raise InputError(
            "headers",
            "stale_signature",
            f"{TIMESTAMP} is more than {TOLERANCE} seconds away from now; sign again, and check the clock.",
        )


def _digest(key: bytes, identifier: str, timestamp: str, body: bytes) -> bytes:
    return hmac.digest(key, f"{identifier}.{timestamp}.".encode("utf-8", "surrogatepass") + body, "sha256")
