"""Restore: an operator lets a provider that is left out have messages again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.breaker import succeeded
from countersign.domain.event import Event, EventKind
from countersign.store import carriers
from countersign.store.database import Steps, Write

if TYPE_CHECKING:
    from countersign.store.database import Database
    from countersign.store.events import Chain, Head, Log


async def restore_provider(database: Database, log: Log, name: str, now: int) -> bool:
    """End a provider's rest; return whether it had one."""
    return await log.run(database, _restore, name, now)


def _restore(chain: Chain, name: str, now: int) -> Steps[tuple[bool, Head]]:
    breaker = (yield from carriers.take_breakers([name]))[name]
    if not breaker.tripped:
        return False, chain.head
    linked, head = chain.link([Event(now, EventKind.PROVIDER_BACK, "", name, {"by": "operator"})])
    yield Write((*carriers.saved([succeeded(breaker, now)]), *linked))
    return True, head
