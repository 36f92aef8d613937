"""The endpoints of programs: discovery, token, userinfo, introspection and revocation; their errors are those of RFC 6749, 5.2."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote_plus

import msgspec

from countersign.domain.accounts.session import Level
from countersign.domain.oidc.authorization_request import ACTION_TYPE, SUPPORTED_SCOPES
from countersign.flows.oidc.token import exchange_code, introspect, revoke, userinfo
from countersign.keys import PROOF_ALGORITHM
from countersign.web.http.authentication import bearer
from countersign.web.http.body import body_of
from countersign.web.http.request import Reply

if TYPE_CHECKING:
    from countersign.domain.shared.application import Application
    from countersign.web.http.context import Desk
    from countersign.web.http.request import Call, Header

_encode: Final = msgspec.json.Encoder().encode
_FORM: Final = b"application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 32


class OAuthError(Exception):
    """A request that is answered with an error of RFC 6749."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = status

    def reply(self) -> Reply:
        """Return the answer."""
        headers: tuple[Header, ...] = ()
        if self.error == "invalid_client":
            headers = ((b"www-authenticate", b'Basic realm="countersign"'),)
        elif self.error == "invalid_token":
            headers = ((b"www-authenticate", b'Bearer realm="countersign", error="invalid_token"'),)
        return _told({"error": self.error, "error_description": self.description}, self.status, headers)


async def configuration(desk: Desk, _: Call) -> Reply:
    """GET /.well-known/openid-configuration (OpenID Connect Discovery 1.0)."""
    issuer = desk.core.links.issuer
    told = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "userinfo_endpoint": f"{issuer}/oauth/userinfo",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "end_session_endpoint": f"{issuer}/oauth/sign-out",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [PROOF_ALGORITHM],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": list(SUPPORTED_SCOPES),
        "claims_supported": [
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "acr",
            "amr",
            "sid",
            "at_hash",
            "name",
            "locale",
            "email",
            "email_verified",
            "phone_number",
            "phone_number_verified",
        ],
        "acr_values_supported": [level.acr for level in Level],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "authorization_details_types_supported": [ACTION_TYPE],
        "authorization_response_iss_parameter_supported": True,
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }
    return Reply(200, _encode(told), cache=b"public, max-age=300")


async def token(desk: Desk, call: Call) -> Reply:
    """POST /oauth/token."""
    try:
        fields = await _fields(call)
        client = await _client(desk, call, fields)
        if fields.get("grant_type") != "authorization_code":
            raise OAuthError("unsupported_grant_type", "Only authorization_code is served.")
        found = await exchange_code(
            desk.runtime.accounts,
            client,
            fields.get("code", ""),
            fields.get("redirect_uri", ""),
            fields.get("code_verifier", ""),
        )
        if found is None:
            raise OAuthError(
                "invalid_grant", "The code is unknown, used or late, or is not of this client, address and verifier."
            )
    except OAuthError as error:
        return error.reply()
    return _told(
        {
            "access_token": found.access_token,
            "token_type": "Bearer",
            "expires_in": found.expires_in,
            "id_token": found.id_token,
            "scope": found.scope,
        }
    )


async def who(desk: Desk, call: Call) -> Reply:
    """GET and POST /oauth/userinfo."""
    found = await userinfo(desk.runtime.accounts, bearer(call))
    if found is None:
        return OAuthError("invalid_token", "The access token is unknown or has ended.", 401).reply()
    return _told(found)


async def look_into(desk: Desk, call: Call) -> Reply:
    """POST /oauth/introspect."""
    try:
        fields = await _fields(call)
        client = await _client(desk, call, fields)
    except OAuthError as error:
        return error.reply()
    return _told(await introspect(desk.runtime.accounts, client, fields.get("token", "")))


async def let_go(desk: Desk, call: Call) -> Reply:
    """POST /oauth/revoke."""
    try:
        fields = await _fields(call)
        client = await _client(desk, call, fields)
    except OAuthError as error:
        return error.reply()
    await revoke(desk.runtime.accounts, client, fields.get("token", ""))
    return _told({})


async def _fields(call: Call) -> dict[str, str]:
    kind = call.header(b"content-type") or b""
    if kind.partition(b";")[0].strip().lower() != _FORM:
        raise OAuthError("invalid_request", "The body is application/x-www-form-urlencoded.")
    body = await body_of(call)
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise OAuthError("invalid_request", "The body is no form in UTF-8.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise OAuthError("invalid_request", "A parameter comes twice.")
    return fields


async def _client(desk: Desk, call: Call, fields: dict[str, str]) -> Application:
    """Return the application that authenticates: by Basic or in the form, its id and its key; raises OAuthError."""
    client_id, secret = fields.get("client_id", ""), fields.get("client_secret", "")
    given = call.header(b"authorization")
    if given is not None:
        try:
            scheme, _, encoded = given.decode("latin-1").partition(" ")
            name, _, word = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError) as error:
            raise OAuthError("invalid_client", "The Authorization header is malformed.", 401) from error
        if scheme.lower() != "basic" or secret:
            raise OAuthError("invalid_client", "A client authenticates in one way: Basic, or the form.", 401)
        client_id, secret = unquote_plus(name), unquote_plus(word)
    found = await desk.doorkeeper.recognise(secret) if secret else None
    if found is None or found.id != client_id:
        raise OAuthError("invalid_client", "The client is unknown, or its key is wrong.", 401)
    return found


def _told(body: dict[str, Any], status: int = 200, headers: tuple[Header, ...] = ()) -> Reply:
    return Reply(status, _encode(body), headers=((b"pragma", b"no-cache"), *headers))
