"""The OpenID Connect endpoints for programs: discovery, PAR, token, userinfo, introspection and revocation; errors of RFC 6749, 5.2."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

import msgspec

from countersign.client_keys import ALGORITHMS
from countersign.domain.accounts.session import Level
from countersign.domain.oidc.authorization_request import ACTION_TYPE, SUPPORTED_SCOPES, AuthorizationErrorResponse
from countersign.domain.oidc.client_jwt import ASSERTION_TYPE
from countersign.flows.oidc import token as tokens
from countersign.flows.oidc.client_authentication import authenticate_by_assertion
from countersign.flows.oidc.pushed_request import push_request
from countersign.keys import PROOF_ALGORITHM
from countersign.messages.language.catalogue import languages
from countersign.web.http.authentication import bearer
from countersign.web.http.forms import is_form, pairs_of
from countersign.web.http.problems import AnsweredError

if TYPE_CHECKING:
    from countersign.domain.shared.application import Application
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Headers, Response

PUSH: Final = "/oauth/par"
AUTH_METHODS: Final = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
"""How a client authenticates at the endpoints for programs."""
_ONE_WAY: Final = "A client authenticates in one way: Basic, the form, or an assertion."

_encode: Final = msgspec.json.Encoder().encode
_NOT_KEPT: Final[Headers] = (("Pragma", "no-cache"),)


class OAuthError(AnsweredError):
    """A request is answered with an error of RFC 6749.

    Args:
        error: its code, such as `invalid_client`.
        description: a sentence for the developer of the client.
        status: the HTTP status.
    """

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = status

    def write(self, response: Response) -> None:
        """Write the response."""
        headers = _NOT_KEPT
        if self.error == "invalid_client":
            headers = (*headers, ("WWW-Authenticate", 'Basic realm="countersign"'))
        elif self.error == "invalid_token":
            headers = (*headers, ("WWW-Authenticate", 'Bearer realm="countersign", error="invalid_token"'))
        body = {"error": self.error, "error_description": self.description}
        response.json(_encode(body), self.status, headers)


async def configuration(web: WebContext, _: Request, resp: Response) -> None:
    """GET /.well-known/openid-configuration (OpenID Connect Discovery 1.0)."""
    issuer = web.core.links.issuer
    metadata = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "userinfo_endpoint": f"{issuer}/oauth/userinfo",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "end_session_endpoint": f"{issuer}/oauth/sign-out",
        "pushed_authorization_request_endpoint": f"{issuer}{PUSH}",
        "require_pushed_authorization_requests": False,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [PROOF_ALGORITHM],
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": AUTH_METHODS,
        "introspection_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
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
            tokens.REDUCED_CLAIM,
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
        "ui_locales_supported": list(languages()),
        "authorization_response_iss_parameter_supported": True,
        "claims_parameter_supported": False,
        "request_parameter_supported": True,
        "request_object_signing_alg_values_supported": list(ALGORITHMS),
        "request_uri_parameter_supported": False,
    }
    resp.json(_encode(metadata), headers=(("Cache-Control", "public, max-age=300"),))


async def push(web: WebContext, req: Request, resp: Response) -> None:
    """POST /oauth/par (RFC 9126)."""
    fields = await _fields(req)
    client = await _client(web, req, fields)
    outcome = await push_request(web.accounts, client, fields)
    if isinstance(outcome, AuthorizationErrorResponse):
        error = "invalid_request" if outcome.error == "invalid_redirect_uri" else outcome.error
        raise OAuthError(error, outcome.description)
    answer = {"request_uri": outcome.request_uri, "expires_in": outcome.expires_in}
    resp.json(_encode(answer), 201, _NOT_KEPT)


async def token(web: WebContext, req: Request, resp: Response) -> None:
    """POST /oauth/token (RFC 6749, 4.1.3)."""
    fields = await _fields(req)
    client = await _client(web, req, fields)
    if fields.get("grant_type") != "authorization_code":
        raise OAuthError("unsupported_grant_type", "Only authorization_code is served.")
    found = await tokens.exchange_code(
        web.accounts,
        client,
        fields.get("code", ""),
        fields.get("redirect_uri", ""),
        fields.get("code_verifier", ""),
    )
    if found is None:
        raise OAuthError(
            "invalid_grant", "The code is unknown, used or late, or is not of this client, address and verifier."
        )
    answer = {
        "access_token": found.access_token,
        "token_type": "Bearer",
        "expires_in": found.expires_in,
        "id_token": found.id_token,
        "scope": found.scope,
    }
    resp.json(_encode(answer), headers=_NOT_KEPT)


async def userinfo(web: WebContext, req: Request, resp: Response) -> None:
    """GET and POST /oauth/userinfo (OpenID Connect Core 1.0, 5.3)."""
    found = await tokens.userinfo(web.accounts, bearer(req))
    if found is None:
        raise OAuthError("invalid_token", "The access token is unknown or has ended.", 401)
    resp.json(_encode(found), headers=_NOT_KEPT)


async def introspect(web: WebContext, req: Request, resp: Response) -> None:
    """POST /oauth/introspect (RFC 7662)."""
    fields = await _fields(req)
    client = await _client(web, req, fields)
    found = await tokens.introspect(web.accounts, client, fields.get("token", ""))
    resp.json(_encode(found), headers=_NOT_KEPT)


async def revoke(web: WebContext, req: Request, resp: Response) -> None:
    """POST /oauth/revoke (RFC 7009). The answer is the same for an unknown token."""
    fields = await _fields(req)
    client = await _client(web, req, fields)
    await tokens.revoke(web.accounts, client, fields.get("token", ""))
    resp.json(b"{}", headers=_NOT_KEPT)


async def _fields(req: Request) -> dict[str, str]:
    if not is_form(req):
        raise OAuthError("invalid_request", "The body is application/x-www-form-urlencoded.")
    try:
        pairs = pairs_of((await req.body()).decode())
    except ValueError as error:
        raise OAuthError("invalid_request", "The body is no form in UTF-8.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise OAuthError("invalid_request", "A parameter comes twice.")
    return fields


async def _client(web: WebContext, req: Request, fields: dict[str, str]) -> Application:
    """Return the authenticated application: by Basic authentication, a secret in the form, or a signed assertion. Raises OAuthError."""
    client_id, secret = fields.get("client_id", ""), fields.get("client_secret", "")
    given = req.get_header("Authorization")
    if "client_assertion" in fields or "client_assertion_type" in fields:
        if given is not None or "client_secret" in fields:
            raise OAuthError("invalid_client", _ONE_WAY, 401)
        return await _client_by_assertion(web, req, fields)
    if given is not None:
        try:
            scheme, _, encoded = given.partition(" ")
            name, _, word = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError) as error:
            raise OAuthError("invalid_client", "The Authorization header is malformed.", 401) from error
        if scheme.lower() != "basic" or "client_secret" in fields or client_id not in {"", unquote_plus(name)}:
            raise OAuthError("invalid_client", _ONE_WAY, 401)
        client_id, secret = unquote_plus(name), unquote_plus(word)
    found = await web.applications.authenticate(secret) if secret else None
    if found is None or found.id != client_id:
        raise OAuthError("invalid_client", "The client is unknown, or its key is wrong.", 401)
    return found


async def _client_by_assertion(web: WebContext, req: Request, fields: dict[str, str]) -> Application:
    """Return the application that signed the assertion (RFC 7523). Raises OAuthError."""
    found = None
    if fields.get("client_assertion_type") == ASSERTION_TYPE:
        endpoint = f"{web.core.links.issuer}{req.path}"
        found = await authenticate_by_assertion(
            web.accounts, fields.get("client_assertion", ""), fields.get("client_id", ""), endpoint
        )
    if found is None:
        raise OAuthError(
            "invalid_client",
            "The assertion is not signed by a registered key, not meant for us, expired, or was used before.",
            401,
        )
    return found
