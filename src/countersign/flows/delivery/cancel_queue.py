"""Cancel queued messages: an operator ends what an application has in the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.delivery import delivery as delivery_rules
from countersign.domain.delivery.delivery import Reason
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.delivery.events import delivery_event
from countersign.store.engine.database import Append, Write
from countersign.store.ledger.event_log import append_event
from countersign.store.tables import deliveries, queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from countersign.store.engine.database import Database
    from countersign.store.ledger.event_log import Log

BATCH: Final = 500
"""Messages that one transaction cancels. Between two of them others write."""


async def cancel_queued(
    database: Database, log: Log, application: str, clock: Callable[[], int], by: str, channel: str = ""
) -> int:
    """Cancel the queued messages of an application, and return how many there were.

    A message that a worker is handing over just then is not stopped. The challenges go on: what they ask for later is sent, unless the
    application is suspended or was removed. Raises UnavailableError if the database is down.

    Arguments:
        database: the database.
        log: a log for the events.
        application: the id of the application.
        clock: returns ms since the epoch.
        by: who cancels them.
        channel: the channel whose messages are canceled; empty for all.

    """
    canceled, found = 0, BATCH
    while found == BATCH:
        found = await log.run(database, _cancel, application, channel, clock())
        canceled += found
    facts: dict[str, str | int] = {"count": canceled, "channel": channel or "all", "by": by}
    await log.run(database, append_event, Event(clock(), EventKind.QUEUE_CANCELED, application, application, facts))
    return canceled


async def _cancel(application: str, channel: str, now: int) -> int:
    rows = await queue.claim_queued(application, BATCH, channel)
    queued = [msgspec.structs.replace(one, application=application) for one in map(deliveries.from_row, rows)]
    canceled = [delivery_rules.drop(one, Reason.CANCELED, now) for one in queued]
    if canceled:
        await Append([delivery_event(one, application, now) for one in canceled])
        await Write(deliveries.update(canceled), last=True)
    return len(rows)
