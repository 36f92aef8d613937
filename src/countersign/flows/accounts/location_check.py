"""Far away: a code that was asked for in one place and is typed in another far from it is named to the person before it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.accounts.risk import far_apart

if TYPE_CHECKING:
    from countersign.domain.accounts.login_flow import LoginFlow
    from countersign.flows.accounts.context import AccountContext, BrowserContext


class UnlikelyLocation(msgspec.Struct, frozen=True):
    """Nothing was judged: it was asked for there, and typed here; the person says first that both was them."""

    asked: str
    here: str


def check_location(context: AccountContext, browser: BrowserContext, flow: LoginFlow) -> UnlikelyLocation | None:
    """Say whether a browser is now far from where its flow was begun; None where that is not known."""
    if not browser.ip or not flow.requester.ip or browser.ip == flow.requester.ip:
        return None
    asked, here = context.geolocation.find(flow.requester.ip), context.geolocation.find(browser.ip)
    if asked is None or here is None or not far_apart(asked, here):
        return None
    return UnlikelyLocation(asked.label, here.label)
