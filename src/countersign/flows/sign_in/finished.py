"""Find the session in which a login flow has just ended, for a browser whose button was pressed twice."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.flows.accounts.context import AccountContext, BrowserContext, SignedIn
from countersign.flows.accounts.sessions import find_session
from countersign.store.tables import sessions

HAND_OVER: Final = 120_000
"""Milliseconds for which a second press gets the session that the first one began (semantics J4)."""


async def find_finished(context: AccountContext, browser: BrowserContext) -> SignedIn | None:
    """Return the session in which the flow of this browser has ended moments ago, if the browser has not received it yet.

    The answer to the first of two presses is lost when the second one is sent. Only this browser has both the secret of the flow and that
    of the device, and the session is that of this device.
    """
    if not browser.flow or not browser.device:
        return None
    secret, now = context.session_secret(browser.flow), context.now()
    if browser.session == secret:
        return None
    session = await context.database.read(sessions.find, context.token_hash(secret), now)
    if session is None or session.device_token_hash != context.token_hash(browser.device):
        return None
    if now >= max(session.last_seen_at, *(proof.proved_at for proof in session.proofs)) + HAND_OVER:
        return None
    if await find_session(context, msgspec.structs.replace(browser, session=secret)) is None:
        return None
    return SignedIn(secret, browser.device, session.account, InterruptedRequest(path=context.links.account))
