"""Impossible locations: a code was requested in one place and is entered far from it, so the user must confirm both first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.accounts.risk import far_apart

if TYPE_CHECKING:
    from countersign.domain.accounts.login_flow import LoginFlow
    from countersign.flows.accounts.context import AccountContext, BrowserContext


class UnlikelyLocation(msgspec.Struct, frozen=True):
    """The code was not checked: it was requested from one place and entered in another. The user must confirm first."""

    asked: str
    here: str


def check_location(context: AccountContext, browser: BrowserContext, flow: LoginFlow) -> UnlikelyLocation | None:
    """Return both places if a browser is now far from where its flow began; None if it is near, or if a place is unknown."""
    if not browser.ip or not flow.requester.ip or browser.ip == flow.requester.ip:
        return None
    asked, here = context.geolocation.find(flow.requester.ip), context.geolocation.find(browser.ip)
    if asked is None or here is None or not far_apart(asked, here):
        return None
    return UnlikelyLocation(asked.label, here.label)
