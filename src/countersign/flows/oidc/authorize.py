"""Authorize: a relying party sends a person here, and gets them back with a code that says who they are and how strongly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlencode

import msgspec

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import (
    Level,
    ProofRequirement,
    Session,
    amr_of,
    auth_time_of,
    is_closed,
    level_of,
    meets,
)
from countersign.domain.oidc.authorization_request import (
    ACTION_TYPE,
    CODE_LASTS,
    AuthorizationFault,
    AuthorizationRequest,
    parse,
)
from countersign.flows.accounts.context import CodeRequested, NoEligibleMethod
from countersign.flows.accounts.sessions import find_session, use_approval
from countersign.flows.sign_in.step_up import step_up
from countersign.flows.verifications.results import Refused
from countersign.store.tables import applications, grants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.flows.accounts.context import AccountContext, BrowserContext

FRESH_FOR: Final = 60
"""Seconds for which a proof that was just given for a request counts as fresh, however small its max_age."""

_encode: Final = msgspec.json.Encoder().encode


class Grant(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an authorization code was given for; times in seconds."""

    client: str
    redirect_uri: str
    challenge: str
    scope: tuple[str, ...]
    nonce: str
    account: str
    session: str
    auth_time: int
    acr: str
    amr: tuple[str, ...]
    summary: str = ""
    hash: str = ""


class RedirectToClient(msgspec.Struct, frozen=True):
    """The person is sent back to the relying party, with a code or with an error."""

    location: str


class SignInRequired(msgspec.Struct, frozen=True):
    """Nobody is signed in: they sign in, and come back to this path."""

    path: str
    login_hint: str


Authorized: TypeAlias = RedirectToClient | SignInRequired | CodeRequested | AuthorizationFault | Refused


async def authorize(context: AccountContext, browser: BrowserContext, params: Mapping[str, str]) -> Authorized:
    """Answer a request: with a code where the session has what is asked for, else by asking the person for it."""
    client = await context.database.read(applications.find, params.get("client_id", ""))
    asked = parse(params, client)
    if isinstance(asked, AuthorizationFault):
        return _back(context, asked.redirect_uri, asked.state, _error(asked)) if asked.redirect_uri else asked
    session = await find_session(context, browser)
    if session is None:
        if "none" in asked.prompt:
            return _refused(context, asked, "login_required", "Nobody is signed in.")
        return SignInRequired(_onwards(context, params), asked.login_hint)
    now = context.now()
    if is_closed(session, context.sign_in_policy, now) and asked.need.level < Level.APP_CODE:
        asked = msgspec.structs.replace(asked, need=msgspec.structs.replace(asked.need, level=Level.APP_CODE))
    if "login" in asked.prompt or not meets(session, asked.need, now):
        return await _ask(context, browser, session, asked, params)
    if asked.need.binds and not await use_approval(context, session, asked.need):
        return await _ask(context, browser, session, asked, params)
    return await _granted(context, session, asked)


async def _ask(
    context: AccountContext,
    browser: BrowserContext,
    session: Session,
    asked: AuthorizationRequest,
    params: Mapping[str, str],
) -> Authorized:
    if "none" in asked.prompt:
        error = "login_required" if asked.need.max_age is not None else "interaction_required"
        return _refused(context, asked, error, "A further proof is asked for.")
    outcome = await step_up(context, browser, session, asked.need, InterruptedRequest(path=_onwards(context, params)))
    if isinstance(outcome, NoEligibleMethod):
        return _refused(
            context, asked, "unmet_authentication_requirements", "The account has no method that is strong enough."
        )
    return outcome


async def _granted(context: AccountContext, session: Session, asked: AuthorizationRequest) -> RedirectToClient:
    now = context.now()
    code = context.secret()
    grant = Grant(
        client=asked.client,
        redirect_uri=asked.redirect_uri,
        challenge=asked.challenge,
        scope=asked.scope,
        nonce=asked.nonce,
        account=session.account,
        session=session.id,
        auth_time=auth_time_of(session),
        acr=_level(session, asked.need, now),
        amr=tuple(amr_of(session, now)),
        summary=asked.need.action.summary,
        hash=asked.need.action.hash,
    )
    key = context.mark(code)
    sealed = context.keyring.seal(_encode(grant).decode(), key.hex())
    await context.database.run(grants.add, key, sealed, now, now + CODE_LASTS)
    return _back(context, asked.redirect_uri, asked.state, {"code": code})


def _level(session: Session, need: ProofRequirement, now: int) -> str:
    """Return the level that the session has within the age that was asked for: one that has run out is not reported (semantics U3)."""
    return level_of(session, now, None if need.binds else need.max_age).acr


def _onwards(context: AccountContext, params: Mapping[str, str]) -> str:
    """Return the path on which a request goes on once the person has proved what it asks for: it does not ask for the same again."""
    kept = {name: value for name, value in params.items() if name != "prompt"}
    if kept.get("max_age", "").isdigit():
        kept["max_age"] = str(max(int(kept["max_age"]), FRESH_FOR))
    return f"{context.links.authorize}?{urlencode(kept)}"


def _refused(context: AccountContext, asked: AuthorizationRequest, error: str, description: str) -> RedirectToClient:
    return _back(context, asked.redirect_uri, asked.state, {"error": error, "error_description": description})


def _error(fault: AuthorizationFault) -> dict[str, str]:
    return {"error": fault.error, "error_description": fault.description}


def _back(context: AccountContext, redirect_uri: str, state: str, told: dict[str, str]) -> RedirectToClient:
    """Return where the person is sent, with `iss` so that no other provider's answer is taken for ours (RFC 9207)."""
    query = {**told, **({"state": state} if state else {}), "iss": context.links.issuer}
    return RedirectToClient(f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(query)}")


def details_of(grant: Grant) -> list[dict[str, str]]:
    """Return what was approved, as the ID token tells it (RFC 9396)."""
    if not grant.summary:
        return []
    return [{"type": ACTION_TYPE, "summary": grant.summary, "hash": grant.hash}]
