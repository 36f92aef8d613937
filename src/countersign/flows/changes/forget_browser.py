"""Forget a browser of an account: a change like any other, which a fresh proof approves (semantics A4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.flows.accounts.context import BrowserContext
from countersign.flows.changes.apply import Applied, apply_change

if TYPE_CHECKING:
    from countersign.domain.accounts.session import Session
    from countersign.flows.accounts.context import AccountContext


async def forget_browser(context: AccountContext, session: Session, device_id: str) -> bool:
    """Forget one of the account's browsers by its id; False if it has no such browser.

    The caller has required the proof.
    """
    request = ChangeRequest(ChangeKind.BROWSER_REMOVED, device_id).for_session(session)
    return isinstance(await apply_change(context, BrowserContext(), request), Applied)
