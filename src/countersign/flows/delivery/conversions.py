"""Conversions: after a challenge has ended, count once for each message whether its code was entered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.delivery.delivery import Delivery, DeliveryState
from countersign.domain.delivery.latency import ProviderStats
from countersign.domain.verifications.challenge import Challenge, ChallengeState
from countersign.flows.delivery.context import provider_key_of
from countersign.flows.delivery.sms_pumping import count_conversions, is_counted
from countersign.store.engine.database import Claim, Seek, Write
from countersign.store.tables import challenges, deliveries
from countersign.store.tables.schema import CHALLENGES, DELIVERIES

if TYPE_CHECKING:
    from countersign.flows.delivery.context import DeliveryContext

BATCH: Final = 1_000
"""Messages in one transaction."""

SENT: Final = frozenset({DeliveryState.ACCEPTED, DeliveryState.DELIVERED})
CONCLUSIVE: Final = frozenset({ChallengeState.APPROVED, ChallengeState.EXHAUSTED, ChallengeState.EXPIRED})
"""Final states of a challenge that count for conversion. A canceled challenge is inconclusive."""

_ENDED: Final = (
    # From where the batch before ended: else each batch would read again the messages of all challenges that live.
    "settled_at IS NULL AND created_at >= $1 AND (due_at IS NULL OR state = 'accepted')"
    " AND EXISTS (SELECT 1 FROM challenges WHERE challenges.id = deliveries.owner AND challenges.ended_at IS NOT NULL)"
)


class FinishedDelivery(msgspec.Struct, frozen=True):
    """A message whose challenge has ended.

    `converted` is True if the code was entered, False if not, and None if the outcome is inconclusive (canceled, or not sent). `took` is
    the time (ms) from the message until its code was entered, where the message went to a telephone.
    """

    delivery: Delivery
    application: str
    converted: bool | None
    took: int | None = None


async def record_conversions(context: DeliveryContext) -> int:
    """Count the conversion of every message that was not counted yet. Returns the number of messages.

    Raises UnavailableError if the database is down.
    """
    count = since = 0
    while finished := await context.database.run(_record, context, context.now(), since, BATCH):
        for one in finished:
            if one.converted is not None:
                context.stats.add(provider_key_of(one.delivery), ProviderStats(ended=1, converted=int(one.converted)))
            if one.took is not None:
                context.stats.add_entry(provider_key_of(one.delivery), one.delivery.created_at, one.took)
        count += len(finished)
        since = max(one.delivery.created_at for one in finished)
        if len(finished) < BATCH:
            break
    return count


async def _record(context: DeliveryContext, now: int, since: int, limit: int) -> list[FinishedDelivery]:
    rows = await Claim(DELIVERIES, _ENDED, (since,), "created_at", limit)
    if not rows:
        return []
    settled = [msgspec.structs.replace(deliveries.from_row(row), settled_at=now) for row in rows]
    found = await Seek(CHALLENGES, "id", sorted({one.owner for one in settled}))
    owners = {challenge.id: challenge for challenge in map(challenges.from_row, found)}
    with_owners = [(one, owners[one.owner]) for one in settled if one.owner in owners]
    approved = [
        (one, owner)
        for one, owner in with_owners
        if owner.state is ChallengeState.APPROVED
        and one.attempts
        and one.state is not DeliveryState.FAILED
        and is_counted(one, owner)
    ]
    await count_conversions(context, approved, now)
    await Write(deliveries.update(settled))
    return [
        FinishedDelivery(one, owner.application, _converted(one, owner), _took(one, owner))
        for one, owner in with_owners
    ]


def _converted(delivery: Delivery, challenge: Challenge) -> bool | None:
    """Return whether this message brought the code. Of several messages of a challenge, the last one did."""
    if delivery.state not in SENT or challenge.state not in CONCLUSIVE:
        return None
    return challenge.state is ChallengeState.APPROVED and delivery.number == challenge.sends


def _took(delivery: Delivery, challenge: Challenge) -> int | None:
    """Return how long (ms) after this message its code was entered, or None if it was not, or was not asked for by telephone."""
    if not _converted(delivery, challenge) or challenge.ended_at is None or not is_counted(delivery, challenge):
        return None
    return max(0, challenge.ended_at - delivery.created_at)
