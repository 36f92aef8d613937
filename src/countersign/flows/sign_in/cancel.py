"""Cancel a login flow: its code is worth nothing any more, and the person goes back to where they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.flows.accounts import login_flow
from countersign.flows.verifications.cancel import cancel_challenge
from countersign.store.tables import login_flows

if TYPE_CHECKING:
    from countersign.domain.accounts.login_flow import LoginFlow
    from countersign.flows.accounts.context import AccountContext, BrowserContext


async def cancel_flow(context: AccountContext, browser: BrowserContext) -> LoginFlow | None:
    """End the flow of this browser and its code, and return the flow as it was; None if there was none.

    A second press finds nothing, and changes nothing.
    """
    stored = await login_flow.find_flow(context, browser)
    if stored is None or not await context.database.run(login_flows.delete, stored.token_hash):
        return None
    if stored.flow.challenge:
        await cancel_challenge(context.core, context.own, stored.flow.challenge)
    return stored.flow
