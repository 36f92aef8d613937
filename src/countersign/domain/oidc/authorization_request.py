"""Authorization requests: which parameters are supported, and what a request requires of the session.

Sources: OpenID Connect Core 1.0, 3.1.2.1; RFC 6749 (OAuth 2.0), 7636 (PKCE), 9101 and 9126 (signed and pushed requests), 9396
(`authorization_details`), 9470 (step-up) and 9700 (security).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from countersign.domain.accounts.session import LEVEL_OF_ACR, Level, ProofRequirement
from countersign.domain.shared.application import Application
from countersign.domain.verifications.challenge import Action

SUPPORTED_SCOPES: Final = ("openid", "profile", "email", "phone", "account")
"""`account` is ours: it grants access to the account endpoints."""
ACTION_TYPE: Final = "urn:countersign:action"
"""The one `type` of `authorization_details`: an action that the user is to approve."""
MAX_SUMMARY: Final = 160
MAX_HASH: Final = 128
MAX_PARAMETER: Final = 2_000
"""Characters of the summary of an action, of its hash, and of any parameter of a request."""
MAX_ENCODED: Final = 3_500
"""Characters of a request in a link, and of a `state` that is sent back, once they are encoded for an address inside an address. A proxy
in front takes 4 KiB of headers with such an address in them."""
MAX_LOGIN_HINT: Final = 320
MAX_LOCALES: Final = 200
"""Characters of `login_hint` and `ui_locales` that are looked at. Longer ones are as good as none."""
CODE_LIFETIME: Final = 60_000
"""Milliseconds that an authorization code is valid."""
ACCESS_TOKEN_LIFETIME: Final = 3_600_000
"""Milliseconds that an access token is valid, unless its session ends before."""
ID_TOKEN_LIFETIME_SECONDS: Final = 300
"""Seconds that an ID token is valid. It states what was true at one moment, so it need not last."""

_UNRESERVED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"  # RFC 3986, 2.3
_CODE_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # RFC 7636, 4.2: base64url of SHA-256, without padding
_PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
PUSHED_LIFETIME: Final = 90_000
"""Milliseconds that the `request_uri` of a pushed request is valid (RFC 9126, 2.2)."""
REQUEST_URI_PREFIX: Final = "urn:ietf:params:oauth:request_uri:"

PARAMETERS: Final = frozenset(
    {
        "client_id",
        "redirect_uri",
        "response_type",
        "response_mode",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "prompt",
        "max_age",
        "acr_values",
        "authorization_details",
        "login_hint",
        "ui_locales",
    }
)
"""The parameters that count. Others are ignored (RFC 6749, 3.1), and not stored either."""


class RequestSource(StrEnum):
    """How the parameters of a request came. The values are stored."""

    QUERY = "query"
    SIGNED = "signed"
    PUSHED = "pushed"


class AuthorizationRequest(msgspec.Struct, frozen=True):
    """A valid authorization request; the fields are the parameters of the same name.

    `requirement` is what the session must satisfy, made from `acr_values`, `max_age` and `authorization_details`.
    """

    client_id: str
    redirect_uri: str
    scope: tuple[str, ...]
    state: str
    nonce: str
    code_challenge: str
    prompt: frozenset[str]
    requirement: ProofRequirement
    login_hint: str = ""
    ui_locales: tuple[str, ...] = ()


class AuthorizationErrorResponse(msgspec.Struct, frozen=True):
    """The error response to a request (RFC 6749, 4.1.2.1). `error` is a code of RFC 6749 or of one of its extensions.

    Without a `redirect_uri` the user is not redirected: the error is shown on a page of ours.
    """

    error: str
    description: str
    redirect_uri: str = ""
    state: str = ""


def parse_authorization_request(
    params: Mapping[str, str], client: Application | None, source: RequestSource = RequestSource.QUERY
) -> AuthorizationRequest | AuthorizationErrorResponse:
    """Return the request, or the error response to it.

    `params` are the parameters of the request, `source` is how they came, and `client` is the application whose id is `client_id`, None if
    there is none. Until the client and its registered redirect URI are matched exactly, the user is not redirected (RFC 9700, 4.11).
    """
    if client is None or client.removed_at is not None:
        return NO_CLIENT
    if params.get("redirect_uri", "") not in client.redirect_uris:
        return AuthorizationErrorResponse(
            "invalid_redirect_uri", "The redirect_uri is not registered for this application. It must match exactly."
        )
    redirect_uri, state = params["redirect_uri"], params.get("state", "")

    def error_response(error: str, description: str) -> AuthorizationErrorResponse:
        return error_of(params, client, error, description)

    if source is not RequestSource.PUSHED and client.requires_pushed:
        return error_response("invalid_request", "This application pushes its requests to /oauth/par.")
    if source is RequestSource.QUERY and "authorization_details" in params:
        # Anybody can write a link. Its words must not stand in a message of ours (semantics P5).
        return error_response("invalid_request", "authorization_details is accepted in pushed or signed requests only.")
    if unsupported := _find_unsupported(params, source):
        return error_response(*unsupported)
    requirement = _parse_requirement(params, client)
    if isinstance(requirement, str):
        return error_response(requirement, _DESCRIPTIONS[requirement])
    return AuthorizationRequest(
        client_id=client.id,
        redirect_uri=redirect_uri,
        scope=tuple(scope for scope in SUPPORTED_SCOPES if scope in params["scope"].split()),
        state=state,
        nonce=params.get("nonce", ""),
        code_challenge=params["code_challenge"],
        prompt=frozenset(params.get("prompt", "").split()),
        requirement=requirement,
        login_hint=params.get("login_hint", ""),
        ui_locales=tuple(params.get("ui_locales", "")[:MAX_LOCALES].split()),
    )


def _link_length(params: Mapping[str, str]) -> int:
    """Return how many characters the query of a request has in an address inside an address. `=` and `&` have three each."""
    return sum(len(name) + encoded_length(value) + 6 for name, value in params.items() if name in PARAMETERS)


def continued_query(params: Mapping[str, str]) -> str:
    """Return the query of a request in a link, with the parameters that count."""
    return urlencode({name: value for name, value in params.items() if name in PARAMETERS})


NO_CLIENT: Final = AuthorizationErrorResponse("invalid_client", "There is no such application.")


def error_of(
    params: Mapping[str, str], client: Application, error: str, description: str
) -> AuthorizationErrorResponse:
    """Return an error response to a request of this client.

    It is redirected only to a registered address, and only with the `state` to the letter: the client could not tell by another one whose
    answer it is. So the answer to a `state` that is too long is shown on a page of ours.
    """
    redirect_uri, state = params.get("redirect_uri", ""), params.get("state", "")
    goes_back = redirect_uri in client.redirect_uris and fits_in_address(state)
    return AuthorizationErrorResponse(error, description, redirect_uri if goes_back else "", state)


def fits_in_address(state: str) -> bool:
    """Return True if a `state` can be sent back to the client whole."""
    return encoded_length(state) <= MAX_ENCODED


def encoded_length(text: str) -> int:
    """Return how many characters a text has in an address inside an address: a space has three, any other byte that is encoded five.

    It is reckoned and not encoded: that would cost milliseconds for what is refused.
    """
    encoded = text.encode("utf-8", "surrogatepass")
    spaces, plain = encoded.count(b" "), len(encoded) - len(encoded.translate(None, _UNRESERVED))
    return plain + 3 * spaces + 5 * (len(encoded) - plain - spaces)


def _find_unsupported(params: Mapping[str, str], source: RequestSource) -> tuple[str, str] | None:
    """Return the error code and the description for the first parameter that is not supported; None if all are."""
    if any(len(value) > MAX_PARAMETER for value in params.values()):
        return "invalid_request", "A parameter is longer than 2,000 characters."
    if not fits_in_address(params.get("state", "")):
        return "invalid_request", "The state is longer than 3,500 characters once it is encoded."
    if source is RequestSource.QUERY and _link_length(params) > MAX_ENCODED:
        return (
            "invalid_request",
            "The request is longer than 3,500 characters once it is encoded. Push it to /oauth/par.",
        )
    if "registration" in params:
        return "registration_not_supported", "An application is registered by the operator."
    if params.get("response_type") != "code":
        return "unsupported_response_type", "Only response_type=code is supported."
    if params.get("response_mode", "query") != "query":
        return "invalid_request", "Only response_mode=query is supported."
    if "openid" not in params.get("scope", "").split():
        return "invalid_scope", "The scope must contain openid."
    if params.get("code_challenge_method") != "S256" or not _CODE_CHALLENGE.fullmatch(params.get("code_challenge", "")):
        return "invalid_request", "PKCE is required, with code_challenge_method=S256."
    prompt = set(params.get("prompt", "").split())
    if prompt - _PROMPTS or ("none" in prompt and len(prompt) > 1):
        return "invalid_request", "prompt must be none alone, or any of login, consent and select_account."
    return None


_DESCRIPTIONS: Final = {
    "invalid_request": "max_age must be a number of seconds.",
    "unmet_authentication_requirements": "None of the acr_values is supported.",
    "invalid_authorization_details": f"authorization_details must hold one object of type {ACTION_TYPE} with summary and hash.",
}


def _parse_requirement(params: Mapping[str, str], client: Application) -> ProofRequirement | str:
    """Return what the session must satisfy, or the error code."""
    max_age: int | None = None
    if "max_age" in params:
        if not re.fullmatch(r"[0-9]{1,9}", params["max_age"]):
            return "invalid_request"
        max_age = int(params["max_age"])
    level = Level.PASSWORD
    if acr_values := params.get("acr_values", "").split():
        known = [LEVEL_OF_ACR[acr] for acr in acr_values if acr in LEVEL_OF_ACR]
        if not known:
            return "unmet_authentication_requirements"
        level = min(known)
    action = _parse_action(params.get("authorization_details"))
    if action is None:
        return "invalid_authorization_details"
    if action.is_empty:
        return ProofRequirement(level, max_age)
    action = msgspec.structs.replace(action, asker=client.site)
    return ProofRequirement(max(level, Level.MAIL_CODE), max_age, action, client_id=client.id, kind=ACTION_TYPE)


def _parse_action(authorization_details: str | None) -> Action | None:
    """Return the action to approve (RFC 9396): an empty one if none is requested, None if the parameter is malformed."""
    if authorization_details is None:
        return Action()
    try:
        decoded: Any = msgspec.json.decode(authorization_details.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    if not isinstance(decoded, list) or len(decoded) != 1 or not isinstance(decoded[0], dict):
        return None
    details = decoded[0]
    summary, hash_ = details.get("summary"), details.get("hash", "")
    is_valid = (
        details.keys() <= {"type", "summary", "hash"}
        and details.get("type") == ACTION_TYPE
        and isinstance(summary, str)
        and isinstance(hash_, str)
        and 0 < len(summary.strip()) <= MAX_SUMMARY
        and summary.isprintable()
        and len(hash_) <= MAX_HASH
        and hash_.isprintable()
    )
    return Action(str(summary), str(hash_)) if is_valid else None
