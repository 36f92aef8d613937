"""An authorization request: what a relying party may ask for (OpenID Connect Core 1.0, RFC 6749, 7636, 9396, 9470, 9700)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from countersign.domain.accounts.session import LEVELS, Level, ProofRequirement
from countersign.domain.shared.application import Application
from countersign.domain.verifications.challenge import Action

SCOPES: Final = ("openid", "profile", "email", "phone", "account")
ACTION_TYPE: Final = "urn:countersign:action"
MAX_SUMMARY: Final = 160
MAX_HASH: Final = 128
MAX_PARAMETER: Final = 2_000
CODE_LASTS: Final = 60_000
"""Milliseconds within which an authorization code is redeemed."""
TOKEN_LASTS: Final = 3_600_000
ID_TOKEN_LASTS: Final = 300
"""Seconds: an ID token tells of a moment."""

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # RFC 7636, 4.2: base64url of SHA-256, without padding
_PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_NOT_TAKEN: Final = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}


class AuthorizationRequest(msgspec.Struct, frozen=True):
    """A request that may be carried out. `need` is what the session must have, `prompt` what was asked of the page."""

    client: str
    redirect_uri: str
    scope: tuple[str, ...]
    state: str
    nonce: str
    challenge: str
    prompt: frozenset[str]
    need: ProofRequirement
    login_hint: str = ""


class AuthorizationFault(msgspec.Struct, frozen=True):
    """Why a request is not carried out: `error` by the names of RFC 6749 and its kin. Without `redirect_uri` nobody is sent anywhere."""

    error: str
    description: str
    redirect_uri: str = ""
    state: str = ""


def parse(params: Mapping[str, str], client: Application | None) -> AuthorizationRequest | AuthorizationFault:
    """Judge a request. Before the client and its address are known to the letter, nothing is sent anywhere (RFC 9700, 4.11)."""
    if client is None or client.removed_at is not None:
        return AuthorizationFault("invalid_client", "There is no such application.")
    redirect_uri = params.get("redirect_uri", "")
    if redirect_uri not in client.redirect_uris:
        return AuthorizationFault(
            "invalid_redirect_uri", "This address is not registered for the application, to the letter."
        )
    state = params.get("state", "")

    def fault(error: str, description: str) -> AuthorizationFault:
        return AuthorizationFault(error, description, redirect_uri, state[:MAX_PARAMETER])

    if wrong := _wrong(params):
        return fault(*wrong)
    need = _need(params)
    if isinstance(need, str):
        return fault(need, _WHY[need])
    return AuthorizationRequest(
        client=client.id,
        redirect_uri=redirect_uri,
        scope=tuple(one for one in SCOPES if one in params["scope"].split()),
        state=state,
        nonce=params.get("nonce", ""),
        challenge=params["code_challenge"],
        prompt=frozenset(params.get("prompt", "").split()),
        need=need,
        login_hint=params.get("login_hint", ""),
    )


def _wrong(params: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the error and its description for the first parameter that is not served."""
    if any(len(value) > MAX_PARAMETER for value in params.values()):
        return "invalid_request", "A parameter is longer than 2,000 characters."
    if found := next((error for name, error in _NOT_TAKEN.items() if name in params), ""):
        return found, "Parameters are taken from the address alone."
    if params.get("response_type") != "code":
        return "unsupported_response_type", "Only response_type=code is served."
    if params.get("response_mode", "query") != "query":
        return "invalid_request", "Only response_mode=query is served."
    if "openid" not in params.get("scope", "").split():
        return "invalid_scope", "The scope holds openid."
    if params.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(params.get("code_challenge", "")):
        return "invalid_request", "PKCE is required, with code_challenge_method=S256."
    prompt = set(params.get("prompt", "").split())
    if prompt - _PROMPTS or ("none" in prompt and len(prompt) > 1):
        return "invalid_request", "prompt is none, or some of login, consent and select_account."
    return None


_WHY: Final = {
    "invalid_request": "max_age is a number of seconds.",
    "unmet_authentication_requirements": "None of the acr_values is known here.",
    "invalid_authorization_details": f"authorization_details holds one object of type {ACTION_TYPE} with summary and hash.",
}


def _need(params: Mapping[str, str]) -> ProofRequirement | str:
    """Return what the session must have, or the name of what is wrong."""
    max_age: int | None = None
    if "max_age" in params:
        if not re.fullmatch(r"[0-9]{1,9}", params["max_age"]):
            return "invalid_request"
        max_age = int(params["max_age"])
    level = Level.PASSWORD
    if wanted := params.get("acr_values", "").split():
        known = [LEVELS[acr] for acr in wanted if acr in LEVELS]
        if not known:
            return "unmet_authentication_requirements"
        level = min(known)
    action = _action(params.get("authorization_details"))
    if action is None:
        return "invalid_authorization_details"
    return ProofRequirement(max(level, Level.MAIL_CODE) if action.summary else level, max_age, action)


def _action(text: str | None) -> Action | None:
    """Return the act that is to be approved (RFC 9396): an empty one if none is asked for, None if it is malformed."""
    if text is None:
        return Action()
    try:
        told: Any = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    if not isinstance(told, list) or len(told) != 1 or not isinstance(told[0], dict):
        return None
    details = told[0]
    summary, hash_ = details.get("summary"), details.get("hash", "")
    sound = (
        details.keys() <= {"type", "summary", "hash"}
        and details.get("type") == ACTION_TYPE
        and isinstance(summary, str)
        and isinstance(hash_, str)
        and 0 < len(summary.strip()) <= MAX_SUMMARY
        and summary.isprintable()
        and len(hash_) <= MAX_HASH
        and hash_.isprintable()
    )
    return Action(str(summary), str(hash_)) if sound else None
