"""Time-based one-time passwords for authenticator apps (RFC 4226, RFC 6238), and the QR code that sets up an app."""

from __future__ import annotations

import base64
import hmac
import io
from typing import Final
from urllib.parse import quote, urlencode

import segno
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

SECRET_BYTES: Final = 20
"""160 bits, as RFC 4226, section 4, recommends."""
STEP: Final = 30_000
"""Length of a time step in milliseconds (RFC 6238, 5.2)."""
DIGITS: Final = 6
WINDOW: Final = 1
"""Time steps before and after the current one that are accepted too, as clocks differ and people type slowly."""


def code_at(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """Return the code of a time step."""
    # Every app supports SHA-1, and HMAC does not rely on its collision resistance (RFC 6238, 1.2).
    return HOTP(secret, digits, SHA1(), enforce_key_length=False).generate(step).decode()  # noqa: S303


def step_of(secret: bytes, typed: str, now: int, after: int) -> int | None:
    """Return the time step whose code was typed, or None.

    Steps near `now` (ms) and later than `after` are tried, each compared in constant time. The earliest match is returned, so that only
    its code is used up.
    """
    current = now // STEP
    found: int | None = None
    for step in range(current + WINDOW, current - WINDOW - 1, -1):
        same = hmac.compare_digest(code_at(secret, step).encode(), typed.encode())
        if same and step > after:
            found = step
    return found


def shown(secret: bytes) -> str:
    """Return a secret as a person types it into an app: base32 in groups of four."""
    text = base64.b32encode(secret).decode().rstrip("=")
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def address(secret: bytes, issuer: str, account: str) -> str:
    """Return the `otpauth` URI of the QR code (Google Authenticator's key URI format).

    A colon divides issuer and account, so the format allows none inside either; it is left out.
    """
    issuer, account = _without_colons(issuer), _without_colons(account)
    label = quote(f"{issuer}:{account}" if issuer else account, safe="")
    params = {
        "secret": base64.b32encode(secret).decode().rstrip("="),
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": str(DIGITS),
        "period": str(STEP // 1_000),
    }
    return f"otpauth://totp/{label}?{urlencode(params, quote_via=quote)}"


def _without_colons(text: str) -> str:
    return " ".join(text.replace(":", " ").replace("\uff1a", " ").split())


def picture(text: str) -> str:
    """Return a QR code as SVG. It is dark on white in every colour scheme, so that every camera reads it."""
    out = io.BytesIO()
    segno.make(text, error="m").save(
        out, kind="svg", scale=5, border=4, xmldecl=False, svgns=True, dark="#000", light="#fff", omitsize=True
    )
    return out.getvalue().decode()
