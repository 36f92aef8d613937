"""Reads the queue of due messages by provider, channel and application, and ends what an application has in it.

The name of a queue stands in a column of each message, so that an index finds the queues and the oldest message of each. Messages that an
older release wrote have no queue by name; workers look into them whoever they belong to.
"""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.delivery.fair_share import DueQueue
from countersign.store.engine.database import Claim, ClaimShares, Rows, Sql
from countersign.store.tables.schema import DELIVERIES

_QUEUES: Final = (
    "WITH RECURSIVE queues(name) AS (SELECT min(queue) FROM deliveries WHERE due_at IS NOT NULL"
    " UNION ALL SELECT (SELECT min(d.queue) FROM deliveries d WHERE d.due_at IS NOT NULL AND d.queue > queues.name)"
    " FROM queues WHERE queues.name IS NOT NULL)"
)
"""Finds the name of each queue by one look into the index, however many messages are in it."""

_DUE: Final = "due_at IS NOT NULL AND due_at <= $1"
_DUE_AT: Final = [name for name, _ in DELIVERIES.columns].index("due_at")
_OLDER_RELEASE: Final = "application = '' AND owner IN (SELECT id FROM challenges WHERE application = $1)"


class QueueState(msgspec.Struct, frozen=True):
    """A queue: how many messages are due, how many wait for a later time, and since when (ms) the oldest is due (None: none is)."""

    provider: str
    channel: str
    application: str
    due: int
    waiting: int
    oldest: int | None


async def find_due(now: int, most: int) -> list[DueQueue]:
    """Return the queues in which messages are due at `now` (ms), each with their number up to `most`."""
    rows = await Sql(
        f"{_QUEUES} SELECT name,"
        f" (SELECT count(*) FROM (SELECT 1 FROM deliveries d WHERE d.queue = queues.name AND {_DUE} LIMIT {most}) AS due),"
        f" (SELECT min(d.due_at) FROM deliveries d WHERE d.queue = queues.name AND {_DUE})"
        " FROM queues WHERE name IS NOT NULL",
        (now,),
    )
    return [DueQueue(name, *_parts(name), due, oldest) for name, due, oldest in rows if due]


async def claim_shares(shares: dict[str, int], now: int) -> Rows:
    """Lock and return due messages, those that have waited longest first: so many of each queue, by its name."""
    rows = await ClaimShares(DELIVERIES, "queue", sorted(shares.items()), _DUE, (now,), "due_at")
    return sorted(rows, key=lambda row: int(row[_DUE_AT]))


async def list_queues(now: int) -> list[QueueState]:
    """Return all queues, with what is due in each at `now` (ms)."""
    rows = await Sql(
        "SELECT queue, CAST(sum(CASE WHEN due_at <= $1 THEN 1 ELSE 0 END) AS bigint), count(*), min(due_at)"
        " FROM deliveries WHERE due_at IS NOT NULL AND state <> 'accepted' GROUP BY queue ORDER BY queue",
        (now,),
    )
    return [QueueState(*_parts(name), due, total - due, oldest if due else None) for name, due, total, oldest in rows]


async def count_due_by_application(now: int) -> list[tuple[str, int, int]]:
    """Return the applications with due messages: id, how many, and for how long (ms) the oldest has been due."""
    rows = await Sql(
        f"SELECT application, count(*), min(due_at) FROM deliveries WHERE {_DUE} GROUP BY application", (now,)
    )
    return [(application, count, now - oldest) for application, count, oldest in rows]


async def claim_queued(application: str, limit: int, channel: str = "") -> Rows:
    """Lock and return at most `limit` queued messages of an application that nobody is sending, of one channel or of all."""
    condition = f"due_at IS NOT NULL AND state = 'queued' AND (application = $1 OR ({_OLDER_RELEASE}))"
    if channel:
        return await Claim(DELIVERIES, f"{condition} AND channel = $2", (application, channel), "due_at", limit)
    return await Claim(DELIVERIES, condition, (application,), "due_at", limit)


def _parts(name: str) -> tuple[str, str, str]:
    """Return the provider, the channel and the application that the name of a queue is made of; empty ones if it has no name."""
    provider, _, rest = name.partition(" ")
    channel, _, application = rest.partition(" ")
    return provider, channel, application
