"""Authorization endpoint: send the user back to the client with an authorization code, or ask for the proof that is missing.

Sources: OpenID Connect Core 1.0, 3.1.2; RFC 6749, 4.1; RFC 9207 (`iss`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlencode

import msgspec

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import (
    Level,
    ProofRequirement,
    Session,
    amr_values,
    auth_time,
    current_level,
    is_enrolment_only,
    satisfies,
)
from countersign.domain.oidc.authorization_request import (
    ACTION_TYPE,
    CODE_LIFETIME,
    AuthorizationErrorResponse,
    AuthorizationRequest,
    parse_authorization_request,
)
from countersign.flows.accounts.context import CodeRequested, NoEligibleMethod
from countersign.flows.accounts.sessions import find_session, use_approval
from countersign.flows.sign_in.step_up import step_up
from countersign.flows.verifications.results import Refused
from countersign.store.tables import applications, grants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.flows.accounts.context import AccountContext, BrowserContext

MIN_MAX_AGE_SECONDS: Final = 60
"""A request that continues after a proof accepts a proof of this age in seconds, however small its `max_age` is. Otherwise a `max_age` of
0 would ask for a proof again and again."""

_encode: Final = msgspec.json.Encoder().encode


class Grant(msgspec.Struct, frozen=True, omit_defaults=True):
    """The authorization that a code stands for. Times are in seconds; `name=` keeps the names under which grants were stored.

    `client_id`, `redirect_uri`, `code_challenge`, `scope` and `nonce` come from the request; `auth_time`, `acr` and `amr` go into the ID
    token. `account` and `session` are ids. `summary` and `hash` are those of the approved action, if the request named one.
    `epoch` is that of the account: a code of an earlier one is worth nothing (semantics A8).
    """

    client_id: str = msgspec.field(name="client")
    redirect_uri: str
    code_challenge: str = msgspec.field(name="challenge")
    scope: tuple[str, ...]
    nonce: str
    account: str
    session: str
    auth_time: int
    acr: str
    amr: tuple[str, ...]
    summary: str = ""
    hash: str = ""
    epoch: int = 0


class RedirectToClient(msgspec.Struct, frozen=True):
    """The user is redirected to the client with a code or an error. `location` is the whole URL."""

    location: str


class SignInRequired(msgspec.Struct, frozen=True):
    """The user signs in first and returns to `path`. `login_hint` is the identifier that the client suggests."""

    path: str
    login_hint: str


AuthorizeResult: TypeAlias = RedirectToClient | SignInRequired | CodeRequested | AuthorizationErrorResponse | Refused


async def authorize(context: AccountContext, browser: BrowserContext, params: Mapping[str, str]) -> AuthorizeResult:
    """Answer an authorization request.

    `params` are its query parameters. If the session satisfies the request, the user is redirected with a code. If not, they sign in
    (SignInRequired) or step up (CodeRequested, or Refused over a rate limit) and return. AuthorizationErrorResponse is returned only
    for errors that must not be redirected; other errors are a RedirectToClient.
    """
    client = await context.database.read(applications.find, params.get("client_id", ""))
    request = parse_authorization_request(params, client)
    if isinstance(request, AuthorizationErrorResponse):
        return _redirect_if_allowed(context, request)
    session = await find_session(context, browser)
    if session is None:
        if "none" in request.prompt:
            return _redirect_with_error(context, request, "login_required", "The user is not signed in.")
        return SignInRequired(_path_to_continue(context, params), request.login_hint)
    now = context.now()
    requirement = request.requirement
    if is_enrolment_only(session, context.sign_in_policy, now):
        requirement = msgspec.structs.replace(requirement, level=max(requirement.level, Level.APP_CODE))
    if "login" in request.prompt or not satisfies(session, requirement, now):
        return await _step_up(context, browser, session, request, requirement, params)
    if requirement.is_for_one_action and not await use_approval(context, session, requirement):
        return await _step_up(context, browser, session, request, requirement, params)
    return await _redirect_with_code(context, session, request, requirement)


async def _step_up(
    context: AccountContext,
    browser: BrowserContext,
    session: Session,
    request: AuthorizationRequest,
    requirement: ProofRequirement,
    params: Mapping[str, str],
) -> AuthorizeResult:
    """Ask the user for the missing proof, unless the client allows no interaction."""
    if "none" in request.prompt:
        error = "login_required" if requirement.max_age is not None else "interaction_required"
        return _redirect_with_error(context, request, error, "The user must give a further proof.")
    interrupted = InterruptedRequest(path=_path_to_continue(context, params))
    outcome = await step_up(context, browser, session, requirement, interrupted)
    if isinstance(outcome, NoEligibleMethod):
        return _redirect_with_error(
            context,
            request,
            "unmet_authentication_requirements",
            "The account has no authentication method that is strong enough.",
        )
    return outcome


def _path_to_continue(context: AccountContext, params: Mapping[str, str]) -> str:
    """Return the path of the same request as it continues after the proof: it does not ask for the same proof again."""
    kept = {name: value for name, value in params.items() if name != "prompt"}
    if kept.get("max_age", "").isdigit():
        kept["max_age"] = str(max(int(kept["max_age"]), MIN_MAX_AGE_SECONDS))
    return f"{context.links.authorize}?{urlencode(kept)}"


async def _redirect_with_code(
    context: AccountContext, session: Session, request: AuthorizationRequest, requirement: ProofRequirement
) -> RedirectToClient:
    """Store the grant under the keyed hash of a new code, and send the code to the client."""
    now, code = context.now(), context.secret()
    grant = Grant(
        client_id=request.client_id,
        redirect_uri=request.redirect_uri,
        code_challenge=request.code_challenge,
        scope=request.scope,
        nonce=request.nonce,
        account=session.account,
        session=session.id,
        auth_time=auth_time(session),
        acr=_acr(session, requirement, now),
        amr=tuple(amr_values(session, now)),
        summary=requirement.action.summary,
        hash=requirement.action.hash,
        epoch=session.epoch,
    )
    code_hash = context.token_hash(code)
    sealed = context.keyring.seal(_encode(grant).decode(), code_hash.hex())
    await context.database.run(grants.add, code_hash, sealed, now, now + CODE_LIFETIME)
    return _redirect(context, request.redirect_uri, request.state, {"code": code})


def _acr(session: Session, requirement: ProofRequirement, now: int) -> str:
    """Return the level that the session has within the requested `max_age`; one that has expired is not reported (semantics U3)."""
    max_age = None if requirement.is_for_one_action else requirement.max_age
    return current_level(session, now, max_age).acr


def _redirect_if_allowed(
    context: AccountContext, response: AuthorizationErrorResponse
) -> RedirectToClient | AuthorizationErrorResponse:
    if not response.redirect_uri:
        return response
    params = {"error": response.error, "error_description": response.description}
    return _redirect(context, response.redirect_uri, response.state, params)


def _redirect_with_error(
    context: AccountContext, request: AuthorizationRequest, error: str, description: str
) -> RedirectToClient:
    params = {"error": error, "error_description": description}
    return _redirect(context, request.redirect_uri, request.state, params)


def _redirect(context: AccountContext, redirect_uri: str, state: str, params: dict[str, str]) -> RedirectToClient:
    """Return the redirect to the client. Its `iss` keeps the client from taking another provider's response for ours (RFC 9207)."""
    query = {**params, **({"state": state} if state else {}), "iss": context.links.issuer}
    return RedirectToClient(f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(query)}")


def authorization_details(grant: Grant) -> list[dict[str, str]]:
    """Return the approved action as the `authorization_details` of an ID token (RFC 9396); empty if there is none."""
    if not grant.summary:
        return []
    return [{"type": ACTION_TYPE, "summary": grant.summary, "hash": grant.hash}]
