"""The public keys of clients: read the JWKS that a client registers, and verify what it signs.

Sources: RFC 7515 (JWS), 7517 (JWK), 7518 (algorithms), and 8725 (best practice for JWT).
"""

from __future__ import annotations

import base64
from typing import Any, Final

import msgspec
from joserfc import jwk, jws
from joserfc.errors import JoseError

ALGORITHMS: Final = ("ES256", "RS256", "PS256")
"""The algorithms by which a client may sign. All are asymmetric, so a secret is never taken for a key."""
MAX_KEYS: Final = 10
MAX_JWKS: Final = 20_000
"""Characters of a registered JWKS."""
MAX_SIGNED: Final = 8_000
"""Characters of a JWT of a client, which also has to fit into an address."""
MIN_RSA_BITS: Final = 2_048
"""NIST SP 800-131A: shorter RSA keys sign nothing."""

_TYPE_OF_ALGORITHM: Final = {"ES256": "EC", "RS256": "RSA", "PS256": "RSA"}
_PUBLIC_MEMBERS: Final = {
    "EC": ("kty", "crv", "x", "y", "kid", "alg", "use"),
    "RSA": ("kty", "n", "e", "kid", "alg", "use"),
}
_SECRET_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class SignedJwt(msgspec.Struct, frozen=True):
    """What a client signed: the `typ` of the header in lower case without "application/", and the claims."""

    type: str
    claims: dict[str, Any]


def parse_jwks(text: str) -> str:
    """Return a client's JWKS as it is stored: its public members only. Raises ValueError, which says what is wrong with it.

    Accepted are 1 to 10 keys: P-256, or RSA of 2,048 bits or more.
    """
    if len(text) > MAX_JWKS:
        raise ValueError(f"is longer than {MAX_JWKS:,} characters")
    try:
        keys = msgspec.json.decode(text.encode(), type=dict[str, Any]).get("keys")
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ValueError("is not a JSON Web Key Set (RFC 7517)") from None
    if not isinstance(keys, list) or not 0 < len(keys) <= MAX_KEYS:
        raise ValueError(f"must hold 1 to {MAX_KEYS} keys")
    return msgspec.json.encode({"keys": [_public_members(key) for key in keys]}).decode()


def _public_members(key: object) -> dict[str, str]:
    if not isinstance(key, dict) or key.get("kty") not in list(_PUBLIC_MEMBERS):
        raise ValueError("holds a key that is neither EC nor RSA")
    if key.keys() & _SECRET_MEMBERS:
        raise ValueError("holds a private key: register the public keys only")
    if key.get("use", "sig") != "sig" or key.get("alg", ALGORITHMS[0]) not in ALGORITHMS:
        raise ValueError(f"holds a key that is not for signing by {', '.join(ALGORITHMS)}")
    public = {name: key[name] for name in _PUBLIC_MEMBERS[key["kty"]] if name in key}
    if not all(isinstance(value, str) for value in public.values()):
        raise ValueError("holds a key with a member that is not text")
    try:
        _import(public)
    except (JoseError, ValueError, KeyError, TypeError):
        raise ValueError(f"holds a key that is not P-256, or RSA of {MIN_RSA_BITS:,} bits or more") from None
    return public


def _import(public: dict[str, str]) -> jwk.ECKey | jwk.RSAKey:
    """Return the key. Raises JoseError, ValueError, KeyError or TypeError if it is malformed or too weak."""
    if public["kty"] == "EC":
        if public["crv"] != "P-256":
            raise ValueError("crv")
        return jwk.ECKey.import_key({**public})
    modulus = int.from_bytes(base64.urlsafe_b64decode(public["n"] + "=="))
    if modulus.bit_length() < MIN_RSA_BITS:
        raise ValueError("n")
    return jwk.RSAKey.import_key({**public})


def verify(signed: str, jwks: str) -> SignedJwt | None:
    """Return what a client signed, or None if none of its registered keys did. `jwks` is as `parse_jwks` returned it."""
    if not jwks or not 0 < len(signed) <= MAX_SIGNED or not signed.isascii():
        return None
    try:
        header = jws.extract_compact(signed.encode()).headers()
    except (JoseError, ValueError, TypeError, RecursionError):
        return None
    algorithm, kid, type_ = header.get("alg"), header.get("kid"), header.get("typ", "")
    if algorithm not in ALGORITHMS or "crit" in header or not isinstance(type_, str):
        return None
    for public in msgspec.json.decode(jwks, type=dict[str, list[dict[str, str]]])["keys"]:
        fits = public["kty"] == _TYPE_OF_ALGORITHM[algorithm] and public.get("alg", algorithm) == algorithm
        if fits and (kid is None or public.get("kid", kid) == kid):
            claims = _claims(signed, _import(public), algorithm)
            if claims is not None:
                return SignedJwt(type_.lower().removeprefix("application/"), claims)
    return None


def _claims(signed: str, key: jwk.ECKey | jwk.RSAKey, algorithm: str) -> dict[str, Any] | None:
    try:
        found = jws.deserialize_compact(signed, key, algorithms=[algorithm])
        return msgspec.json.decode(found.payload, type=dict[str, Any])
    except (JoseError, ValueError, msgspec.MsgspecError, RecursionError):
        return None


def unverified_subject(signed: str) -> str:
    """Return the `sub` that a JWT claims, so that the keys of this client can be looked up; empty if there is none.

    Nothing else may be made of it: it is not verified.
    """
    if not 0 < len(signed) <= MAX_SIGNED or not signed.isascii():
        return ""
    try:
        payload = jws.extract_compact(signed.encode()).payload
        subject = msgspec.json.decode(payload, type=dict[str, Any]).get("sub")
    except (JoseError, ValueError, TypeError, msgspec.MsgspecError, RecursionError):
        return ""
    return subject if isinstance(subject, str) else ""
