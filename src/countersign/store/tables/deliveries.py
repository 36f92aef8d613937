"""Reads and writes deliveries, which are the queue of the workers, and the attempts that were made for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from countersign.domain.delivery.delivery import Delivery
from countersign.domain.shared.phone_region import NO_REGION, PhoneRegion
from countersign.store.engine.database import Change, Insert, Rows, Seek, Sql, Update, Upsert
from countersign.store.tables.row_mapper import Parts, RowMapper
from countersign.store.tables.schema import ATTEMPTS, DELIVERIES


class Attempt(msgspec.Struct, frozen=True):
    """One attempt to deliver a message, as it ended; times in ms, `reason` empty if the provider accepted it."""

    owner: str
    number: int
    attempt: int
    provider: str
    started_at: int
    ended_at: int
    outcome: str
    reason: str = ""
    provider_message_id: str = ""


def _region(country: str, prefix: str) -> PhoneRegion:
    return PhoneRegion(country, prefix) if country or prefix else NO_REGION


ROWS: Final = RowMapper(
    DELIVERIES,
    Delivery,
    columns={"position": "leg"},
    parts={"region": Parts(("country", "prefix"), _region)},
    derived={"queue": "queue"},
)
ATTEMPT_ROWS: Final = RowMapper(ATTEMPTS, Attempt)
from_row: Final = ROWS.from_row
to_row: Final = ROWS.to_row

_DUE_AT: Final = DELIVERIES.only(("due_at",))


async def list_by_owner(owner: str) -> list[Delivery]:
    """Return every delivery of a challenge or notice, oldest first."""
    rows = await Sql(f"SELECT {DELIVERIES.names} FROM deliveries WHERE owner = $1 ORDER BY number", (owner,))
    return [from_row(row) for row in rows]


async def list_by_owners(owners: Sequence[str]) -> dict[str, list[Delivery]]:
    """Return the deliveries of several challenges or notices, by owner; each owner's oldest first."""
    rows = (await Seek(DELIVERIES, "owner", sorted(set(owners)))) if owners else ()
    found: dict[str, list[Delivery]] = {}
    for delivery in sorted(map(from_row, rows), key=lambda one: one.number):
        found.setdefault(delivery.owner, []).append(delivery)
    return found


async def list_attempts(owner: str) -> Sequence[Attempt]:
    """Return every attempt made for the deliveries of a challenge or notice, oldest first."""
    rows = await Sql(f"SELECT {ATTEMPTS.names} FROM attempts WHERE owner = $1 ORDER BY number, attempt", (owner,))
    return [ATTEMPT_ROWS.from_row(row) for row in rows]


async def find_attempt(provider: str, provider_message_id: str) -> Attempt | None:
    """Return the attempt whose message the provider knows by this id, or None."""
    rows = await Sql(
        f"SELECT {ATTEMPTS.names} FROM attempts WHERE provider = $1 AND provider_message_id = $2"
        " AND provider_message_id <> '' ORDER BY started_at DESC LIMIT 1",
        (provider, provider_message_id),
    )
    return ATTEMPT_ROWS.from_row(rows[0]) if rows else None


async def find_next_due() -> int | None:
    """Return when the next delivery falls due (ms), or None if none is waiting."""
    rows = await Sql("SELECT min(due_at) FROM deliveries WHERE due_at IS NOT NULL")
    due: int | None = rows[0][0]
    return due


async def count_due(now: int) -> tuple[int, int]:
    """Return how many deliveries are due, and for how long (ms) the oldest of them has been."""
    rows = await Sql("SELECT count(*), min(due_at) FROM deliveries WHERE due_at IS NOT NULL AND due_at <= $1", (now,))
    count, oldest = rows[0]
    return count, (now - oldest if oldest is not None else 0)


def insert(deliveries: Sequence[Delivery]) -> tuple[Change, ...]:
    """Return the change that inserts deliveries."""
    return (Insert(DELIVERIES, [to_row(delivery) for delivery in deliveries]),) if deliveries else ()


def update(deliveries: Sequence[Delivery]) -> tuple[Change, ...]:
    """Return the change that updates deliveries."""
    return (Update(DELIVERIES, [ROWS.to_update_row(delivery) for delivery in deliveries]),) if deliveries else ()


def update_due_at(rows: Rows, due_at: int) -> tuple[Change, ...]:
    """Return the change that makes deliveries due at another time (ms).

    It takes whole rows, not deliveries, because a newer program may have written rows that this one cannot read.
    """
    return (Update(_DUE_AT, [(owner, number, due_at) for owner, number, *_ in rows]),) if rows else ()


def upsert_attempts(attempts: Sequence[Attempt]) -> tuple[Change, ...]:
    """Return the change that writes attempts, whether or not they were written before."""
    return (Upsert(ATTEMPTS, [ATTEMPT_ROWS.to_row(attempt) for attempt in attempts]),) if attempts else ()
