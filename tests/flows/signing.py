"""A client that signs: its keys, and the assertions and request objects that it makes of them."""

from __future__ import annotations

import itertools
import json
from typing import Any

from joserfc import jwk, jwt

_numbers = itertools.count(1)
EC = jwk.ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
OTHER = jwk.ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
"""A key that is registered nowhere, under the name of one that is."""


def jwks(*keys: jwk.ECKey | jwk.RSAKey) -> str:
    """Return the public keys as a client registers them."""
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys or (EC, RSA)]})


def signed(
    claims: dict[str, Any],
    key: jwk.ECKey | jwk.RSAKey = EC,
    algorithm: str = "ES256",
    **header: str,
) -> str:
    """Return a signed JWT. A claim of None is left out."""
    left = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": str(key.kid), **header}, left, key, algorithms=[algorithm])


def assertion_claims(client_id: str, audience: str, now: int, /, **changed: Any) -> dict[str, Any]:
    """Return the claims by which a client authenticates; `now` is in ms."""
    seconds = now // 1_000
    plain = {"iss": client_id, "sub": client_id, "aud": audience, "exp": seconds + 60, "iat": seconds, "jti": new_jti()}
    return plain | changed


def request_claims(params: dict[str, Any], client_id: str, issuer: str, now: int, /, **changed: Any) -> dict[str, Any]:
    """Return the claims of a request object with these parameters; `now` is in ms."""
    seconds = now // 1_000
    about = {"iss": client_id, "aud": issuer, "exp": seconds + 60, "nbf": seconds, "iat": seconds, "jti": new_jti()}
    return {**params, **about, **changed}


def new_jti() -> str:
    """Return a `jti` that no other JWT of the tests has."""
    return f"jti-{next(_numbers)}"
