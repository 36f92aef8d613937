"""The keys that a client registers, and what they verify."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jwk
from tests.flows.signing import EC, OTHER, RSA, jwks, signed

from countersign.client_keys import parse_jwks, unverified_subject, verify

SMALL = {**RSA.as_dict(private=False), "n": base64.urlsafe_b64encode(b"\xff" * 128).decode().rstrip("=")}
CLAIMS = {"sub": "app_1", "n": 1}


def test_public_keys_are_kept_and_nothing_else_of_them() -> None:
    """P5."""
    given = json.loads(jwks())
    given["keys"][0]["x5c"] = ["x"]
    kept = json.loads(parse_jwks(json.dumps({**given, "more": 1})))
    assert kept == json.loads(jwks())
    assert parse_jwks(json.dumps(kept)) == parse_jwks(jwks())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": {}}',
        '{"keys": [1]}',
        '{"keys": [{"kty": "oct", "k": "x"}]}',
        '{"keys": [{"kty": ["EC"]}]}',
        '{"keys": [{"kty": "EC", "crv": "P-256"}]}',
        '{"keys": [{"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}]}',
        '{"keys": [{"kty": "RSA", "n": 1, "e": "AQAB"}]}',
        json.dumps({"keys": [EC.as_dict(private=True)]}),
        json.dumps({"keys": [RSA.as_dict(private=True)]}),
        json.dumps({"keys": [SMALL]}),
        json.dumps({"keys": [jwk.ECKey.generate_key("P-384").as_dict(private=False)]}),
        json.dumps({"keys": [{**EC.as_dict(private=False), "use": "enc"}]}),
        json.dumps({"keys": [{**EC.as_dict(private=False), "alg": "HS256"}]}),
        json.dumps({"keys": [EC.as_dict(private=False)] * 11}),
        " " * 20_001,
        "[" * 5_000,
    ],
)
def test_what_is_no_set_of_strong_public_keys_is_refused(text: str) -> None:
    """P5: and no secret is stored."""
    with pytest.raises(ValueError, match=r"^(is|must|holds)"):
        parse_jwks(text)


@pytest.mark.parametrize(("key", "algorithm"), [(EC, "ES256"), (RSA, "RS256"), (RSA, "PS256")])
def test_what_a_registered_key_signed_is_read(key: Any, algorithm: str) -> None:
    """P5."""
    found = verify(signed(CLAIMS, key, algorithm, typ="application/JWT"), parse_jwks(jwks()))
    assert found is not None
    assert (found.type, found.claims) == ("jwt", CLAIMS)
    assert unverified_subject(signed(CLAIMS, key, algorithm)) == "app_1"


def test_what_it_did_not_sign_is_not() -> None:
    """P5: another key of the same name, another algorithm than registered, an unknown name, and what is no JWT."""
    registered = parse_jwks(jwks())
    bound = parse_jwks(json.dumps({"keys": [{**RSA.as_dict(private=False), "alg": "PS256"}]}))
    head, body, mark = signed(CLAIMS).split(".")
    assert verify(signed(CLAIMS, OTHER), registered) is None
    assert verify(signed(CLAIMS, RSA, "RS256"), bound) is None
    assert verify(signed(CLAIMS, EC, kid="rsa"), registered) is None
    assert verify(signed(CLAIMS), "") is None
    for text in ("", "a", "a.b.c", f"{head}.{body}.", f"{head}..{mark}", f"eyJhbGciOiJub25lIn0.{body}.", "\u00e9"):
        assert verify(text, registered) is None
        assert isinstance(unverified_subject(text), str)
