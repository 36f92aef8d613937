"""Reset a circuit breaker: an operator lets messages go to a provider again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.delivery.circuit_breaker import after_success
from countersign.domain.shared.event import Event, EventKind
from countersign.store.engine.database import Append, Write
from countersign.store.tables import provider_health

if TYPE_CHECKING:
    from countersign.store.engine.database import Database
    from countersign.store.ledger.event_log import Log


async def reset_breaker(database: Database, log: Log, name: str, now: int) -> bool:
    """Close the circuit breaker of the provider `name` at `now` (ms). Returns False if it was not tripped."""
    return await log.run(database, _reset, name, now)


async def _reset(name: str, now: int) -> bool:
    breaker = (await provider_health.lock_breakers([name]))[name]
    if not breaker.tripped:
        return False
    await Append([Event(now, EventKind.PROVIDER_BACK, "", name, {"by": "operator"})])
    await Write(provider_health.upsert_breakers([after_success(breaker, now)]), last=True)
    return True
