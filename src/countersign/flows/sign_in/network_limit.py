"""Limit what one network may ask for before anything is proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.shared.contact import network_of
from countersign.domain.verifications.challenge import Refusal
from countersign.flows.verifications.results import Refused
from countersign.store.tables import rate_limits

if TYPE_CHECKING:
    from countersign.domain.verifications.rate_limit import RateLimit
    from countersign.flows.accounts.context import AccountContext, BrowserContext


async def count_by_network(
    context: AccountContext, browser: BrowserContext, limit: RateLimit, counter_label: str
) -> Refused | None:
    """Count a request of this browser's network against the limit. Return Refused if the network is over it, else None.

    `counter_label` separates the counts of different limits, for example "sign up from". A browser whose address is unknown is not
    limited.
    """
    if not browser.ip:
        return None
    counter = context.keyring.blind_index(counter_label, network_of(browser.ip))
    (result,) = await context.database.run(rate_limits.consume, [(limit, counter)], context.now())
    if result.allowed:
        return None
    return Refused(Refusal.LIMITED, retry_after=result.retry_after, limit=limit.name, at=context.now())
