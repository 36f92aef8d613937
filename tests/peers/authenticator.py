"""An authenticator of the tests' own, which makes and uses passkeys as a device does, and can be told to misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40
ORIGIN = "https://verify.example"


@dataclass
class Authenticator:
    """One passkey. `count` 0 for good is what synced ones have; `flags` are those of the authenticator's data (WebAuthn, 6.1)."""

    origin: str = ORIGIN
    host: str = "verify.example"
    flags: int = PRESENT | VERIFIED
    count: int = 0
    id: bytes = field(default_factory=lambda: os.urandom(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def makes(self, options: str) -> str:
        """Answer a request for a new passkey."""
        numbers = self.key.public_key().public_numbers()
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})
        attested = bytes(16) + len(self.id).to_bytes(2) + self.id + cose
        authenticator = self._authenticator(ATTESTED) + attested
        return self._answer(
            self._client("webauthn.create", options),
            attestationObject=cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": authenticator}),
        )

    def uses(self, options: str, *, signature: bytes | None = None, kind: str = "webauthn.get") -> str:
        """Answer a request to use it."""
        client, authenticator = self._client(kind, options), self._authenticator()
        signed = authenticator + hashlib.sha256(client).digest()
        made = self.key.sign(signed, ec.ECDSA(hashes.SHA256())) if signature is None else signature
        return self._answer(client, authenticatorData=authenticator, signature=made)

    def _client(self, kind: str, options: str) -> bytes:
        challenge = json.loads(options)["challenge"]
        told = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(told).encode()

    def _authenticator(self, more: int = 0) -> bytes:
        return hashlib.sha256(self.host.encode()).digest() + bytes([self.flags | more]) + self.count.to_bytes(4)

    def _answer(self, client: bytes, **parts: bytes) -> str:
        response: dict[str, Any] = {
            "clientDataJSON": _text(client),
            **{name: _text(part) for name, part in parts.items()},
        }
        named = _text(self.id)
        return json.dumps(
            {"id": named, "rawId": named, "type": "public-key", "response": response, "clientExtensionResults": {}}
        )


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
