"""What a JWT that a client signed must claim: as its authentication, or as an authorization request.

Sources: RFC 7523 and OpenID Connect Core 1.0, 9 (`private_key_jwt`); RFC 9101 (request objects).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final, TypeGuard

import msgspec

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
REQUEST_OBJECT_TYPE: Final = "oauth-authz-req+jwt"
"""The `typ` by which a request object says that it is one (RFC 9101, 10.8)."""
MAX_LIFETIME: Final = 3_600
"""Seconds from now to the `exp` of a JWT: its `jti` is remembered for so long."""
MAX_CLOCK_SKEW: Final = 60
"""Seconds that a client's clock may be ahead of ours."""
MAX_JTI: Final = 255

_NOT_PARAMETERS: Final = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti", "sub", "request", "request_uri"})
_PARAMETER: Final = re.compile(r"[a-z_]{1,64}")


def assertion_fault(
    claims: Mapping[str, Any], type_: str, *, client_id: str, audiences: Collection[str], now: int
) -> str:
    """Return what is wrong with a client's assertion; empty if nothing is.

    `type_` is the `typ` of its header, `audiences` are the names under which the client may address us, and `now` is in seconds.
    """
    if type_ not in {"", "jwt", "client-authentication+jwt"}:
        return "typ is that of another kind of JWT"
    if claims.get("sub") != client_id:
        return "sub must be the client_id"
    if "client_id" in claims:
        return "it is a request object, and no assertion"
    return _fault(claims, client_id=client_id, audiences=audiences, now=now)


def request_object_fault(claims: Mapping[str, Any], type_: str, *, client_id: str, issuer: str, now: int) -> str:
    """Return what is wrong with a request object; empty if nothing is. `now` is in seconds."""
    if type_ not in {"", "jwt", REQUEST_OBJECT_TYPE}:
        return "typ is that of another kind of JWT"
    if claims.get("client_id") != client_id:
        return "client_id must be that of the request"
    if "sub" in claims:
        return "sub must not be there: a request object is no assertion"
    if claims.keys() & {"request", "request_uri"}:
        return "it must not hold another request"
    return _fault(claims, client_id=client_id, audiences={issuer}, now=now)


def _fault(claims: Mapping[str, Any], *, client_id: str, audiences: Collection[str], now: int) -> str:
    if claims.get("iss") != client_id:
        return "iss must be the client_id"
    addressed = claims.get("aud")
    listed = addressed if isinstance(addressed, list) else [addressed]
    if not any(isinstance(one, str) and one in audiences for one in listed):
        return "aud must be our issuer"
    expires_at = claims.get("exp")
    if not _is_time(expires_at) or not now < expires_at <= now + MAX_LIFETIME + MAX_CLOCK_SKEW:
        return "exp must be in the future, and an hour ahead at most"
    if any(name in claims and not _has_come(claims[name], now) for name in ("nbf", "iat")):
        return "nbf and iat must not be in the future"
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI:
        return "jti must be there"
    return ""


def _is_time(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _has_come(value: object, now: int) -> bool:
    return _is_time(value) and value <= now + MAX_CLOCK_SKEW


def request_parameters(claims: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the parameters of a request object as text, or None if one is of no form that a parameter has.

    Numbers and lists are allowed where the query has text: `max_age`, and `authorization_details` (RFC 9396, 3).
    """
    found: dict[str, str] = {}
    for name, value in claims.items():
        if name in _NOT_PARAMETERS or not _PARAMETER.fullmatch(name):
            continue
        if isinstance(value, str):
            found[name] = value
        elif isinstance(value, int) and not isinstance(value, bool):
            found[name] = str(value)
        elif isinstance(value, list | dict):
            found[name] = msgspec.json.encode(value).decode()
        else:
            return None
    return found
