"""Erase an account at the word of the operator, at once and without a notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.shared.event import Event, EventKind
from countersign.store.engine.database import Append, Write
from countersign.store.tables import accounts, erasure

if TYPE_CHECKING:
    from countersign.store.engine.database import Database
    from countersign.store.ledger.event_log import Log


async def erase_account(database: Database, log: Log, account_id: str, now: int, *, own_id: str) -> bool:
    """Erase an account, whatever its state. Return False if there is none. `now` is in ms, `own_id` the id of our own application."""
    return await log.run(database, _erase, account_id, now, own_id)


async def _erase(account_id: str, now: int, own_id: str) -> bool:
    if await accounts.lock(account_id) is None:
        return False
    counts = await erasure.delete_account(account_id)
    await Append([Event(now, EventKind.ACCOUNT_ERASED, own_id, account_id, {"by": "operator", **counts})])
    await Write((), last=True)
    return True
