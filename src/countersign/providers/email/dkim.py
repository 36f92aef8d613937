"""Sign mail with DKIM, so that receivers can tell it from mail that only claims to come from a domain (RFC 6376)."""

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

MIN_BITS: Final = 1024
"""Bits of the shortest RSA key that receivers must accept (RFC 8301, 3.2); 2048 are advised."""

MAX_BITS: Final = 4096
"""Bits of the longest RSA key that receivers must accept (as above)."""

_OVERSIGNED: Final = (b"from", b"to", b"subject", b"date", b"message-id")
"""Headers that are signed once more than they occur, so that one added on the way breaks the signature."""

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


class DkimSigner(msgspec.Struct, frozen=True):
    """A domain, the selector under which its public key stands in the DNS, and the private key in PEM form."""

    domain: str
    selector: str
    key: bytes

    def sign(self, content: bytes) -> bytes:
        """Return `content`, whose lines end with CRLF, with a DKIM-Signature before it (rsa-sha256, relaxed/relaxed)."""
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


def make_signer(domain: str, selector: str, pem: str) -> DkimSigner | None:
    """Return the signer for these settings, None if all are empty.

    Arguments:
        domain: the domain in whose name mail is signed.
        selector: the name of its key in the DNS: the record is at SELECTOR._domainkey.DOMAIN.
        pem: the private RSA key, without a password.

    Raises SettingsError; nothing of the key is shown.

    """
    if not (domain or selector or pem):
        return None
    if not (domain and selector and pem):
        raise SettingsError("dkim_domain, dkim_selector and dkim_key come together; one of them is missing.")
    try:
        ascii_name = idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:
        ascii_name = ""
    if "." not in ascii_name:
        raise SettingsError("dkim_domain is no domain; give the one after the @ of from_address, or a parent of it.")
    if not _SELECTOR.fullmatch(selector):
        raise SettingsError(
            "dkim_selector is one word such as 2026a: the key's record in the DNS is SELECTOR._domainkey.DOMAIN."
        )
    return DkimSigner(ascii_name, selector, _key(pem))


def _key(pem: str) -> bytes:
    """Return the key in the form that the library reads; raises SettingsError."""
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Neither error is passed on: it could quote the key.
        raise SettingsError(
            "dkim_key is no private key in PEM form without a password; make one with `openssl genrsa 2048`."
        ) from None
    if not isinstance(key, RSAPrivateKey):
        raise SettingsError(
            "dkim_key is no RSA key, the only type that is supported; make one with `openssl genrsa 2048`."
        )
    if not MIN_BITS <= key.key_size <= MAX_BITS:
        raise SettingsError(f"dkim_key has {key.key_size} bits; receivers accept {MIN_BITS} to {MAX_BITS}.")
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
