"""Limit what one network may ask for before anything is proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.lanes import Lane
from countersign.flows.verifications.counters import network_limits
from countersign.flows.verifications.results import Refused
from countersign.store.tables import rate_limits

if TYPE_CHECKING:
    from countersign.domain.verifications.rate_limit import RateLimit
    from countersign.flows.accounts.context import AccountContext, BrowserContext


async def count_by_network(context: AccountContext, browser: BrowserContext, limit: RateLimit) -> Refused | None:
    """Count a request of this browser's network against the limit. Return Refused if the network is over it, else None.

    The network around it has a wider limit (semantics L5). A browser whose address is unknown is not limited.
    """
    if not browser.ip:
        return None
    limits = network_limits(context.keyring, [limit], Lane.ANONYMOUS, browser.ip)
    results = await context.database.run(rate_limits.consume, limits, context.now())
    wait = max((result.retry_after for result in results if not result.allowed), default=0)
    return Refused(Refusal.LIMITED, retry_after=wait, limit=limit.name, at=context.now()) if wait else None
