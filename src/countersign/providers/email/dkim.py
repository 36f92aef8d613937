"""DKIM: a letter signed in the name of a domain, so that its receiver can tell it from one that only bears the name (RFC 6376)."""

from __future__ import annotations

import re
from typing import Final

import dkim
import idna
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from countersign.errors import SettingsError

LEAST_BITS: Final = 1024
"""Bits of an RSA key that a receiver must still accept (RFC 8301, 3.2); 2048 are advised."""

MOST_BITS: Final = 4096
"""Bits of an RSA key that every receiver must accept (as above)."""

_OVERSIGNED: Final = (b"from", b"to", b"subject", b"date", b"message-id")
"""Signed once more than they are there: a second one that somebody adds on the way breaks the signature."""

_SIGNED: Final = (
    *_OVERSIGNED,
    b"auto-submitted",
    b"content-language",
    b"content-type",
    b"content-transfer-encoding",
    b"mime-version",
)
_SELECTOR: Final = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)


class Signer(msgspec.Struct, frozen=True):
    """What signs: the domain and the selector under which its public key stands in the DNS."""

    domain: str
    selector: str
    key: bytes

    def signed(self, content: bytes) -> bytes:
        """Return `content`, its lines ended by CRLF, under a DKIM-Signature (rsa-sha256, relaxed/relaxed)."""
        present = {line.partition(b":")[0].lower() for line in content.partition(b"\r\n\r\n")[0].split(b"\r\n")}
        signature = dkim.sign(
            content,
            self.selector.encode(),
            self.domain.encode(),
            self.key,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=[*(name for name in _SIGNED if name in present), *_OVERSIGNED],
            linesep=b"\r\n",
        )
        return bytes(signature) + content

    def __repr__(self) -> str:
        """Hide the key."""
        return f"Signer({self.selector}._domainkey.{self.domain})"


def signer(domain: str, selector: str, pem: str) -> Signer | None:
    """Return what signs by these settings, None where all are empty; raises SettingsError."""
    if not (domain or selector or pem):
        return None
    if not (domain and selector and pem):
        raise SettingsError("smtp dkim_domain, dkim_selector and dkim_key come together; one of them is missing.")
    try:
        ascii_name = idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:
        ascii_name = ""
    if "." not in ascii_name:
        raise SettingsError("smtp dkim_domain is no domain; give the one after the @ of from_address, or one above it.")
    if not _SELECTOR.fullmatch(selector):
        raise SettingsError(
            "smtp dkim_selector is one word such as 2026a: the key's record in the DNS is SELECTOR._domainkey.DOMAIN."
        )
    return Signer(ascii_name, selector, _key(pem))


def _key(pem: str) -> bytes:
    """Return the key as the library reads it; raises SettingsError."""
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Neither error is passed on: it could quote what it was reading.
        raise SettingsError(
            "smtp dkim_key is no private key in PEM form without a password; make one with `openssl genrsa 2048`."
        ) from None
    if not isinstance(key, RSAPrivateKey):
        raise SettingsError(
            "smtp dkim_key is no RSA key, and others are not signed with; make one with `openssl genrsa 2048`."
        )
    if not LEAST_BITS <= key.key_size <= MOST_BITS:
        raise SettingsError(f"smtp dkim_key has {key.key_size} bits; receivers accept {LEAST_BITS} to {MOST_BITS}.")
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
