"""Authorization endpoint: send the user back to the client with an authorization code, or ask for the proof that is missing.

Sources: OpenID Connect Core 1.0, 3.1.2; RFC 6749, 4.1; RFC 9207 (`iss`).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlencode

import msgspec

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import (
    Level,
    ProofRequirement,
    Session,
    authentication_event,
    in_epoch,
    is_enrolment_only,
    satisfies,
    with_approval_used,
)
from countersign.domain.oidc.authorization_request import (
    ACTION_TYPE,
    CODE_LIFETIME,
    MAX_PARAMETER,
    AuthorizationErrorResponse,
    AuthorizationRequest,
)
from countersign.flows.accounts.asking_application import shown_name
from countersign.flows.accounts.context import CodeRequested, NoEligibleMethod
from countersign.flows.accounts.sessions import find_session
from countersign.flows.oidc.pushed_request import ReceivedRequest, path_to_continue, receive_request
from countersign.flows.sign_in.step_up import step_up
from countersign.flows.verifications.results import Refused
from countersign.store.tables import accounts, grants, pushed_requests, sessions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.flows.accounts.context import AccountContext, BrowserContext

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
    """The user signs in first and returns to `path`.

    The client suggests `login_hint`, an identifier, and `ui_locales`, languages, the best first.
    """

    path: str
    login_hint: str = ""
    ui_locales: tuple[str, ...] = ()


AuthorizeResult: TypeAlias = RedirectToClient | SignInRequired | CodeRequested | AuthorizationErrorResponse | Refused


async def authorize(context: AccountContext, browser: BrowserContext, params: Mapping[str, str]) -> AuthorizeResult:
    """Answer an authorization request.

    `params` are its query parameters. If the session satisfies the request, the user is redirected with a code. If not, they sign in
    (SignInRequired) or step up (CodeRequested, or Refused over a rate limit) and return. AuthorizationErrorResponse is returned only
    for errors that must not be redirected; other errors are a RedirectToClient.
    """
    received = await receive_request(context, params)
    if isinstance(received, AuthorizationErrorResponse):
        return _redirect_if_allowed(context, received)
    request = received.parse()
    if isinstance(request, AuthorizationErrorResponse):
        return _redirect_if_allowed(context, request)
    session = await find_session(context, browser)
    if session is None:
        if "none" in request.prompt:
            return _redirect_with_error(context, request, "login_required", "The user is not signed in.")
        return SignInRequired(await path_to_continue(context, received), request.login_hint, request.ui_locales)
    now = context.now()
    if is_enrolment_only(session, context.sign_in_policy, now):
        # The session itself must be raised: the approval of an act would not do that (semantics S10, P2).
        return await _step_up(context, browser, session, request, ProofRequirement(Level.APP_CODE), received)
    if "login" not in request.prompt and satisfies(session, request.requirement, now):
        code = context.secret()
        outcome = await context.database.run(_issue_code, context, session, request, received.key, code)
        if outcome is IssueOutcome.ISSUED:
            return _redirect(context, request.redirect_uri, request.state, {"code": code})
        if outcome is IssueOutcome.REQUEST_USED:
            return _redirect_with_error(context, request, "invalid_request_uri", "The request was answered before.")
    return await _step_up(context, browser, session, request, request.requirement, received)


async def deny_authorization(context: AccountContext, params: Mapping[str, str]) -> RedirectToClient | None:
    """Return the redirect that tells the client that the user has canceled its request; None if there is nobody to tell.

    `params` are the query parameters of the request as it waits for the user. The error is `access_denied` (RFC 6749, 4.1.2.1), and goes
    only to a registered redirect URI of the client. A request that was stored is used up.
    """
    received = await receive_request(context, params)
    if isinstance(received, AuthorizationErrorResponse):
        refused = _redirect_if_allowed(context, received)
        return refused if isinstance(refused, RedirectToClient) else None
    redirect_uri = received.params.get("redirect_uri", "")
    if redirect_uri not in received.client.redirect_uris:
        return None
    if received.key:
        await context.database.run(pushed_requests.delete, received.key)
    state = received.params.get("state", "")
    denied = {"error": "access_denied", "error_description": "The user canceled the request."}
    return _redirect(context, redirect_uri, state if len(state) <= MAX_PARAMETER else "", denied)


async def _step_up(
    context: AccountContext,
    browser: BrowserContext,
    session: Session,
    request: AuthorizationRequest,
    requirement: ProofRequirement,
    received: ReceivedRequest,
) -> AuthorizeResult:
    """Ask the user for the missing proof, unless the client allows no interaction."""
    if "none" in request.prompt:
        error = "login_required" if requirement.max_age is not None else "interaction_required"
        return _redirect_with_error(context, request, error, "The user must give a further proof.")
    interrupted = InterruptedRequest(
        path=await path_to_continue(context, received), asker=shown_name(context, received.client)
    )
    outcome = await step_up(context, browser, session, requirement, interrupted)
    if isinstance(outcome, NoEligibleMethod):
        return _redirect_with_error(
            context,
            request,
            "unmet_authentication_requirements",
            "The account has no authentication method that is strong enough.",
        )
    return outcome


class IssueOutcome(Enum):
    """What the transaction did that issues an authorization code."""

    ISSUED = "issued"
    PROOF_MISSING = "proof_missing"
    REQUEST_USED = "request_used"


async def _issue_code(
    context: AccountContext, asking: Session, request: AuthorizationRequest, request_key: bytes, code: str
) -> IssueOutcome:
    """Store the grant under the keyed hash of a new code.

    The session that asks is judged again as it is stored, its approval of the act is used up, and so is the stored request
    (semantics U1, P1, A8).
    """
    now, requirement = context.now(), request.requirement
    account, stored = await accounts.lock(asking.account), await sessions.find(asking.token_hash, now)
    if stored is None or account is None or not account.open:
        return IssueOutcome.PROOF_MISSING
    session = in_epoch(stored, account.epoch)
    if request_key and await pushed_requests.find(request_key, now) is None:
        return IssueOutcome.REQUEST_USED
    if not satisfies(session, requirement, now) or is_enrolment_only(session, context.sign_in_policy, now):
        return IssueOutcome.PROOF_MISSING
    if requirement.is_for_one_action and not await sessions.replace_proofs(
        session, with_approval_used(session, requirement)
    ):
        return IssueOutcome.PROOF_MISSING
    if request_key and not await pushed_requests.delete(request_key):
        return IssueOutcome.REQUEST_USED
    event = authentication_event(session, requirement, now)
    grant = Grant(
        client_id=request.client_id,
        redirect_uri=request.redirect_uri,
        code_challenge=request.code_challenge,
        scope=request.scope,
        nonce=request.nonce,
        account=session.account,
        session=session.id,
        auth_time=event.auth_time,
        acr=event.acr,
        amr=event.amr,
        summary=requirement.action.summary,
        hash=requirement.action.hash,
        epoch=session.epoch,
    )
    code_hash = context.token_hash(code)
    sealed = context.keyring.seal(_encode(grant).decode(), code_hash.hex())
    await grants.add(code_hash, sealed, now, now + CODE_LIFETIME)
    return IssueOutcome.ISSUED


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
