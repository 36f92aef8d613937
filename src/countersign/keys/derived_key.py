"""The keys that are derived from one master secret: for codes, for sealing, for proofs and for ID tokens."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwk

from countersign.errors import SettingsError

SECRET_BYTES: Final = 32

PROOF_ALGORITHM: Final = "ES256"
ID_SUFFIX: Final = "-id"
"""Suffix of the key ids of ID tokens."""

_NONCE_BYTES: Final = 12
_SALT_BYTES: Final = 24
_RECORD: Final = b"record v2"
_SEALED_BY_RECORD: Final = b"\x02"
"""First byte of what is sealed with a key of its own. What was sealed before begins with a random byte."""
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-5, curve P-256
_P256_BYTES: Final = 32
_DETERMINISTIC: Final = ec.ECDSA(
    SHA256(), deterministic_signing=True
)  # RFC 6979: signing the same claims twice gives the same bytes


def derive_key(master: bytes, use: bytes, length: int = SECRET_BYTES) -> bytes:
    """Return the key for one use: HKDF-SHA256 (RFC 5869) of the master secret without salt, with the use as info."""
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=use).derive(master)


class Signer:
    """A signing key pair for one purpose, derived from a master secret."""

    def __init__(self, kid: str, master: bytes, use: bytes) -> None:
        self._kid = kid
        wide = int.from_bytes(derive_key(master, use, 48))
        self._key = ec.derive_private_key(wide % (_P256_ORDER - 1) + 1, ec.SECP256R1())
        self._header = base64url(msgspec.json.encode({"alg": PROOF_ALGORITHM, "kid": kid, "typ": "JWT"}))

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a compact JWS (RFC 7515) of the claims; the same claims give the same bytes."""
        signed = self._header + b"." + base64url(msgspec.json.encode(claims))
        r, s = decode_dss_signature(self._key.sign(signed, _DETERMINISTIC))
        signature = r.to_bytes(_P256_BYTES) + s.to_bytes(_P256_BYTES)
        return (signed + b"." + base64url(signature)).decode()

    def public_jwk(self) -> dict[str, Any]:
        """Return the public key as a JWK (RFC 7517)."""
        key = jwk.ECKey.import_key(self._key.public_key(), {"kid": self._kid, "use": "sig", "alg": PROOF_ALGORITHM})
        return dict(key.as_dict(private=False))


class DerivedKey:
    """The keys derived from one master secret: for codes, for sealing, for signing proofs and for signing ID tokens.

    `by_record` is False for keys that older releases made: they go on sealing in the one way that those releases read.
    """

    def __init__(self, kid: str, active_from: int, master: bytes, *, by_record: bool = True) -> None:
        self.kid = kid
        self.active_from = active_from
        self.by_record = by_record
        self.code = derive_key(master, b"countersign code v1")
        self._sealing = AESGCM(derive_key(master, b"countersign seal v1"))
        self._records = derive_key(master, b"countersign seal v2", 64)
        self._proofs = Signer(kid, master, b"countersign proof v1")
        # Proofs and ID tokens have separate key pairs, so that one is never accepted as the other.
        self._identities = Signer(kid + ID_SUFFIX, master, b"countersign id token v1")

    def __repr__(self) -> str:
        """Hide the keys."""
        return f"DerivedKey({self.kid})"

    def seal(self, plain: bytes, bound_to: bytes) -> bytes:
        """Return `plain` encrypted with AES-256-GCM. `bound_to` is the associated data: only the same value opens it.

        Key and nonce are derived for each record from a random salt of 192 bits, so that no number of records wears the key out. With
        random nonces under one key that number is 2^32 (NIST SP 800-38D, 8.3).
        """
        if not self.by_record:
            nonce = os.urandom(_NONCE_BYTES)
            return nonce + self._sealing.encrypt(nonce, plain, bound_to)
        salt = os.urandom(_SALT_BYTES)
        key, nonce = self._of_record(salt)
        return _SEALED_BY_RECORD + salt + key.encrypt(nonce, plain, bound_to)

    def unseal(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Return what was sealed, in either way. Raises SettingsError if the key, the bytes or `bound_to` differ."""
        if sealed[:1] == _SEALED_BY_RECORD:
            key, nonce = self._of_record(sealed[1 : 1 + _SALT_BYTES])
            try:
                return key.decrypt(nonce, sealed[1 + _SALT_BYTES :], bound_to)
            except (InvalidTag, ValueError):
                pass  # one in 256 of the older nonces begins with this byte
        try:
            return self._sealing.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError) as error:  # ValueError: shorter than a nonce
            raise SettingsError(
                f"A record sealed with key {self.kid} cannot be opened: it was changed, or the key file is another installation's."
            ) from error

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a proof: a compact JWS (RFC 7515) of the claims. The same claims give the same bytes."""
        return self._proofs.sign(claims)

    def sign_identity(self, claims: dict[str, Any]) -> str:
        """Return an ID token: a compact JWS of the claims, signed by the key pair for ID tokens."""
        return self._identities.sign(claims)

    def public_jwk(self) -> dict[str, Any]:
        """Return the public key for proofs as a JWK (RFC 7517)."""
        return self._proofs.public_jwk()

    def public_identity_jwk(self) -> dict[str, Any]:
        """Return the public key for ID tokens as a JWK (RFC 7517)."""
        return self._identities.public_jwk()

    def _of_record(self, salt: bytes) -> tuple[AESGCM, bytes]:
        """Return key and nonce of one record: keyed BLAKE2b (RFC 7693) of its salt, at a fifth of the time that HMAC takes."""
        made = hashlib.blake2b(salt, key=self._records, digest_size=SECRET_BYTES + _NONCE_BYTES, person=_RECORD)
        block = made.digest()
        return AESGCM(block[:SECRET_BYTES]), block[SECRET_BYTES:]


def base64url(raw: bytes) -> bytes:
    """Return base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
