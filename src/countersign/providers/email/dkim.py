"""Sign mail with DKIM, so that receivers can tell it from mail that only claims to come from a domain (RFC 6376)."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from typing import TYPE_CHECKING, Final

import dkim
import idna
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from dkim.canonicalization import CanonicalizationPolicy

from countersign.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

MIN_BITS: Final = 2048
"""Bits of the shortest RSA key that is taken. RFC 8301, 3.2, advises it; NIST SP 800-131A allows no shorter one."""

MAX_BITS: Final = 4096
"""Bits of the longest RSA key that receivers must accept (as above)."""

OVERSIGNED: Final = (
    *(b"from", b"sender", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id", b"in-reply-to", b"references"),
    *(b"mime-version", b"content-type", b"content-transfer-encoding", b"content-id", b"content-disposition"),
    *(b"content-description", b"content-location", b"content-language", b"auto-submitted"),
    *(b"disposition-notification-to", b"importance", b"priority"),
    *(b"resent-from", b"resent-sender", b"resent-to", b"resent-cc", b"resent-date", b"resent-message-id"),
    *(b"list-id", b"list-help", b"list-unsubscribe", b"list-unsubscribe-post", b"list-subscribe", b"list-post"),
    *(b"list-owner", b"list-archive"),
)
"""Headers that are signed once more than they occur, so that one added on the way breaks the signature (RFC 6376, 8.15).

A receiver that shows the first of two would otherwise show a stranger's. A second Content-Type turns the signed text into another one.
"""

_CANONICALIZATION: Final = (b"relaxed", b"relaxed")
_SELECTOR: Final = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)


class DkimKey(msgspec.Struct, frozen=True):
    """A private key, and the selector under which its public key stands in the DNS."""

    selector: str
    key: RSAPrivateKey | Ed25519PrivateKey

    def __repr__(self) -> str:
        """Hide the key."""
        return f"DkimKey({self.selector})"


class DkimSigner(msgspec.Struct, frozen=True):
    """A domain and its keys. A mail bears a signature by each."""

    domain: str
    keys: tuple[DkimKey, ...]

    def sign(self, content: bytes) -> bytes:
        """Return `content`, whose lines end with CRLF, with a DKIM-Signature by each key before it (relaxed/relaxed).

        The Ed25519 signature comes first: a receiver that knows it need not look further (RFC 8463, 5).
        """
        present = {line.partition(b":")[0].lower() for line in content.partition(b"\r\n\r\n")[0].split(b"\r\n")}
        headers = [*(name for name in OVERSIGNED if name in present), *OVERSIGNED]
        return b"".join([self._signature(content, one, headers) for one in self.keys]) + content

    def _signature(self, content: bytes, one: DkimKey, headers: Sequence[bytes]) -> bytes:
        domain, selector = self.domain.encode(), one.selector.encode()
        if isinstance(one.key, Ed25519PrivateKey):
            return _sign_ed25519(content, domain, selector, one.key, headers)
        pem = one.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        return bytes(
            dkim.sign(
                content,
                selector,
                domain,
                pem,
                canonicalize=_CANONICALIZATION,
                include_headers=headers,
                linesep=b"\r\n",
            )
        )

    def __repr__(self) -> str:
        """Hide the keys."""
        names = ", ".join(f"{one.selector}._domainkey.{self.domain}" for one in self.keys)
        return f"DkimSigner({names})"


class _Ed25519Adapter:
    """A key as the library's writer of signatures calls it: it hands over a SHA-256 and reads `signature` (RFC 8463, 3)."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.signature = b""

    def sign(self, digest: bytes) -> _Ed25519Adapter:
        self.signature = self._key.sign(digest)
        return self


def _sign_ed25519(
    content: bytes, domain: bytes, selector: bytes, key: Ed25519PrivateKey, headers: Sequence[bytes]
) -> bytes:
    """Return a signature by `ed25519-sha256`.

    The library signs so with PyNaCl alone, a second implementation of a curve that `cryptography` has.
    """
    signing = dkim.DKIM(content, signature_algorithm=b"ed25519-sha256", linesep=b"\r\n")
    policy = CanonicalizationPolicy.from_c_value(b"/".join(_CANONICALIZATION))
    signing.hasher = hashlib.sha256
    body_hash = base64.b64encode(hashlib.sha256(policy.canonicalize_body(signing.body)).digest())
    fields = [
        (b"v", b"1"),
        (b"a", b"ed25519-sha256"),
        (b"c", policy.to_c_value()),
        (b"d", domain),
        (b"i", b"@" + domain),
        (b"q", b"dns/txt"),
        (b"s", selector),
        (b"t", str(int(time.time())).encode()),
        (b"h", b" : ".join(headers)),
        (b"bh", body_hash),
        (b"b", b"0" * 60),
    ]
    value = signing.gen_header(fields, headers, policy, b"DKIM-Signature", _Ed25519Adapter(key))
    return b"DKIM-Signature: " + bytes(value)


def make_signer(
    domain: str, selector: str, pem: str, ed25519_selector: str = "", ed25519_pem: str = ""
) -> DkimSigner | None:
    """Return the signer for these settings, None if all are empty.

    Arguments:
        domain: the domain in whose name mail is signed.
        selector: the name of the RSA key in the DNS: the record is at SELECTOR._domainkey.DOMAIN.
        pem: the private RSA key, without a password.
        ed25519_selector: the name of the Ed25519 key in the DNS.
        ed25519_pem: the private Ed25519 key, without a password; left out, mail is signed by RSA alone.

    Raises SettingsError; nothing of a key is shown.

    """
    if not (domain or selector or pem or ed25519_selector or ed25519_pem):
        return None
    if not (domain and selector and pem):
        raise SettingsError("dkim_domain, dkim_selector and dkim_key come together; one of them is missing.")
    if bool(ed25519_selector) != bool(ed25519_pem):
        raise SettingsError("dkim_ed25519_selector and dkim_ed25519_key come together; one of them is missing.")
    try:
        ascii_name = idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:
        ascii_name = ""
    if "." not in ascii_name:
        raise SettingsError("dkim_domain is no domain; give the one after the @ of from_address, or a parent of it.")
    keys = [DkimKey(_checked_selector("dkim_selector", selector), _rsa_key(pem))]
    if ed25519_pem:
        name = _checked_selector("dkim_ed25519_selector", ed25519_selector)
        if name.lower() == selector.lower():
            raise SettingsError("dkim_ed25519_selector is the name of the RSA key; each key has a record of its own.")
        keys.insert(0, DkimKey(name, _ed25519_key(ed25519_pem)))
    return DkimSigner(ascii_name, tuple(keys))


def _checked_selector(setting: str, selector: str) -> str:
    if not _SELECTOR.fullmatch(selector):
        raise SettingsError(
            f"{setting} is one word such as 2026a: the key's record in the DNS is SELECTOR._domainkey.DOMAIN."
        )
    return selector


def _rsa_key(pem: str) -> RSAPrivateKey:
    key = _loaded("dkim_key", pem, "openssl genrsa 2048")
    if not isinstance(key, RSAPrivateKey):
        raise SettingsError(
            "dkim_key is no RSA key; make one with `openssl genrsa 2048`. An Ed25519 key belongs in dkim_ed25519_key."
        )
    if not MIN_BITS <= key.key_size <= MAX_BITS:
        raise SettingsError(
            f"dkim_key has {key.key_size} bits, and {MIN_BITS} to {MAX_BITS} are taken: a shorter key can be broken, and mail forged with"
            " it. Make one with `openssl genrsa 2048`, and publish it under a new selector."
        )
    return key


def _ed25519_key(pem: str) -> Ed25519PrivateKey:
    key = _loaded("dkim_ed25519_key", pem, "openssl genpkey -algorithm ed25519")
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError("dkim_ed25519_key is no Ed25519 key; make one with `openssl genpkey -algorithm ed25519`.")
    return key


def _loaded(setting: str, pem: str, make: str) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Neither error is passed on: it could quote the key.
        raise SettingsError(
            f"{setting} is no private key in PEM form without a password; make one with `{make}`."
        ) from None
