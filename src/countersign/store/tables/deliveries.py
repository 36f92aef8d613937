"""Deliveries and their attempts as rows, and the queue that workers take them from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from countersign.domain.delivery.delivery import Delivery, DeliveryState, Reason
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.phone_region import NO_REGION, PhoneRegion
from countersign.store.engine.database import Row, Seek, Sql
from countersign.store.tables.schema import ATTEMPTS, DELIVERIES

_SELECT: Final = f"SELECT {DELIVERIES.names} FROM deliveries"
_route: Final = msgspec.json.Decoder(tuple[str, ...]).decode
_encode: Final = msgspec.json.Encoder().encode


class Attempt(msgspec.Struct, frozen=True):
    """One try of one delivery, as it ended; times in ms, `reason` empty for success."""

    owner: str
    number: int
    attempt: int
    provider: str
    started_at: int
    ended_at: int
    outcome: str
    reason: str = ""
    provider_message_id: str = ""


def new_row(delivery: Delivery) -> Row:
    """Return the whole row of a delivery."""
    return (
        delivery.owner,
        delivery.number,
        delivery.channel.value,
        _encode(delivery.route).decode(),
        delivery.created_at,
        delivery.round,
        delivery.region.country,
        delivery.region.prefix,
        *_moving(delivery),
    )


async def of_owners(owners: Sequence[str]) -> dict[str, list[Delivery]]:
    """Return the messages of several owners, each one's in the order they were owed."""
    rows = (await Seek(DELIVERIES, "owner", sorted(set(owners)))) if owners else ()
    found: dict[str, list[Delivery]] = {}
    for delivery in sorted(map(of_row, rows), key=lambda one: one.number):
        found.setdefault(delivery.owner, []).append(delivery)
    return found


def changed_row(delivery: Delivery) -> Row:
    """Return the key and what moves."""
    return (delivery.owner, delivery.number, *_moving(delivery))


def of_row(row: Row) -> Delivery:
    """Return the delivery that a whole row holds."""
    owner, number, channel, route, created_at, round_, country, prefix, state, position, tries, attempts, *rest = row
    due_at, reason, changed_at, settled_at = rest
    return Delivery(
        owner,
        number,
        Channel(channel),
        _route(route),
        created_at,
        round_,
        DeliveryState(state),
        position,
        tries,
        attempts,
        due_at,
        None if reason is None else Reason(reason),
        changed_at,
        PhoneRegion(country, prefix) if country or prefix else NO_REGION,
        settled_at,
    )


def put_off(row: Row, until: int) -> Row:
    """Return the key and what moves of a whole row as it is, but due at `until` (ms): for one that cannot be read."""
    owner, number, *_, state, position, tries, attempts, _, reason, changed_at, settled_at = row
    return (owner, number, state, position, tries, attempts, until, reason, changed_at, settled_at)


def attempt_row(attempt: Attempt) -> Row:
    """Return the whole row of an attempt."""
    return tuple(getattr(attempt, name) for name, _ in ATTEMPTS.columns)


async def of_owner(owner: str) -> list[Delivery]:
    """Return every message of a challenge, oldest first."""
    rows = await Sql(f"{_SELECT} WHERE owner = $1 ORDER BY number", (owner,))
    return [of_row(row) for row in rows]


async def by_provider_message(provider: str, provider_message_id: str) -> Attempt | None:
    """Return the try whose message a provider knows by this id, or None."""
    rows = await Sql(
        f"SELECT {ATTEMPTS.names} FROM attempts WHERE provider = $1 AND provider_message_id = $2"
        " AND provider_message_id <> '' ORDER BY started_at DESC LIMIT 1",
        (provider, provider_message_id),
    )
    return Attempt(*rows[0]) if rows else None


async def next_due() -> int | None:
    """Return when the next message falls due (ms), or None if nothing is owed."""
    rows = await Sql("SELECT min(due_at) FROM deliveries WHERE due_at IS NOT NULL")
    due: int | None = rows[0][0]
    return due


async def backlog(now: int) -> tuple[int, int]:
    """Return how many messages are due and how long (ms) the oldest of them has waited."""
    rows = await Sql("SELECT count(*), min(due_at) FROM deliveries WHERE due_at IS NOT NULL AND due_at <= $1", (now,))
    count, oldest = rows[0]
    return count, (now - oldest if oldest is not None else 0)


async def attempts_of(owner: str) -> Sequence[Attempt]:
    """Return every try made for a challenge's messages, oldest first."""
    rows = await Sql(f"SELECT {ATTEMPTS.names} FROM attempts WHERE owner = $1 ORDER BY number, attempt", (owner,))
    return [Attempt(*row) for row in rows]


def _moving(delivery: Delivery) -> tuple[object, ...]:
    return (
        delivery.state.value,
        delivery.position,
        delivery.tries,
        delivery.attempts,
        delivery.due_at,
        None if delivery.reason is None else delivery.reason.value,
        delivery.changed_at,
        delivery.settled_at,
    )
