"""Threat: somebody has a proof made for a name of their choice and shows it where an ID token is expected, or the other way round."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from tests.clock import FixedClock

from countersign.keys import Keyring, new_file

if TYPE_CHECKING:
    from pathlib import Path

CLAIMS: dict[str, Any] = {"iss": "https://verify.example", "aud": "app_shop", "sub": "acc_ada", "iat": 1, "exp": 2}


def header(signed: str) -> dict[str, str]:
    part = signed.split(".", maxsplit=1)[0]
    found: dict[str, str] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return found


def test_the_same_claims_are_signed_by_different_keys(tmp_path: Path) -> None:
    """I2."""
    new_file(tmp_path / "keys.json", 0)
    keyring = Keyring(tmp_path / "keys.json", FixedClock())
    proof, identity = keyring.primary.sign(CLAIMS), keyring.primary.sign_identity(CLAIMS)
    assert header(proof)["kid"] != header(identity)["kid"]
    assert keyring.verified(proof) == CLAIMS
    assert keyring.verified_identity(identity) == CLAIMS
    assert keyring.verified(identity) is None
    assert keyring.verified_identity(proof) is None


def test_a_key_that_is_named_wrongly_does_not_verify(tmp_path: Path) -> None:
    """I2: changing the name of the key in the header does not make one the other."""
    new_file(tmp_path / "keys.json", 0)
    keyring = Keyring(tmp_path / "keys.json", FixedClock())
    proof = keyring.primary.sign(CLAIMS)
    renamed = {**header(proof), "kid": header(keyring.primary.sign_identity(CLAIMS))["kid"]}
    first = base64.urlsafe_b64encode(json.dumps(renamed).encode()).rstrip(b"=").decode()
    assert keyring.verified_identity(".".join([first, *proof.split(".")[1:]])) is None
