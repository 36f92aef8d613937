"""Find a login flow that is over: where it came from, and the session in which it has just ended."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.accounts.login_flow import FlowOrigin, InterruptedRequest, LoginFlowKind
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import AccountContext, BrowserContext, SignedIn
from countersign.flows.accounts.sessions import find_session

HAND_OVER: Final = 60_000
"""Milliseconds for which a second press of the same button gets the session that the first one began (semantics J4)."""

_MAKES_SESSION: Final = frozenset({LoginFlowKind.SIGN_UP, LoginFlowKind.SIGN_IN, LoginFlowKind.STEP_UP})


class FinishedFlow(msgspec.Struct, frozen=True):
    """A flow of this browser that is over.

    `was_completed`: it was not merely left to run out. `signed_in` is its session if this browser has not received that yet: the answer to
    the first of two presses is lost when the second one is sent.
    """

    origin: FlowOrigin
    was_completed: bool
    signed_in: SignedIn | None = None


async def find_finished_flow(context: AccountContext, browser: BrowserContext) -> FinishedFlow | None:
    """Return the flow of this browser that is over; None if it has none, or if the flow is still under way."""
    origin = await login_flow.find_origin(context, browser)
    if origin is None or await login_flow.find_flow(context, browser) is not None:
        return None
    if not origin.ended_at:
        return FinishedFlow(origin, was_completed=False)
    return FinishedFlow(origin, was_completed=True, signed_in=await _session_of(context, browser, origin))


async def _session_of(context: AccountContext, browser: BrowserContext, origin: FlowOrigin) -> SignedIn | None:
    """Return the session that the flow has begun moments ago. It must still be there, and new to this browser."""
    if origin.kind not in _MAKES_SESSION or context.now() >= origin.ended_at + HAND_OVER:
        return None
    secret = context.session_secret(browser.flow)
    if browser.session == secret:
        return None
    session = await find_session(context, msgspec.structs.replace(browser, session=secret))
    if session is None:
        return None
    path = origin.interrupted.path if origin.interrupted.method == "GET" else ""
    return SignedIn(secret, browser.device, session.account, InterruptedRequest(path=path or context.links.account))
