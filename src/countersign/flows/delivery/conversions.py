"""Settle: once a challenge is over, what became of its code is counted for whoever carried it, each message once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.delivery.delivery import Delivery, DeliveryState
from countersign.domain.delivery.latency import ProviderStats
from countersign.domain.verifications.challenge import Challenge, ChallengeState
from countersign.flows.delivery.context import provider_key_of
from countersign.flows.delivery.sms_pumping import count_conversions, is_counted
from countersign.store.engine.database import Claim, Seek, Update, Write
from countersign.store.tables import challenges, deliveries
from countersign.store.tables.schema import CHALLENGES, DELIVERIES

if TYPE_CHECKING:
    from countersign.flows.delivery.context import DeliveryContext

BATCH: Final = 1_000
"""Messages in one go."""

HANDED_OVER: Final = frozenset({DeliveryState.ACCEPTED, DeliveryState.DELIVERED})
COUNTED: Final = frozenset({ChallengeState.APPROVED, ChallengeState.EXHAUSTED, ChallengeState.EXPIRED})
"""How a challenge ends that says something of its messages; one that was canceled does not."""

_OVER: Final = (
    "settled_at IS NULL AND (due_at IS NULL OR state = 'accepted')"
    " AND EXISTS (SELECT 1 FROM challenges WHERE challenges.id = deliveries.owner AND challenges.ended_at IS NOT NULL)"
)


class FinishedDelivery(msgspec.Struct, frozen=True):
    """A message whose challenge is over: `converted` says whether its code was typed rightly, None that this says nothing."""

    delivery: Delivery
    application: str
    converted: bool | None


async def record_conversions(context: DeliveryContext) -> int:
    """Count what became of codes, for as long as there are any that are not counted; return how many there were."""
    count = 0
    while settled := await context.database.run(_settle, context, context.now(), BATCH):
        for one in settled:
            if one.converted is not None:
                context.stats.note(provider_key_of(one.delivery), ProviderStats(ended=1, converted=int(one.converted)))
        count += len(settled)
        if len(settled) < BATCH:
            break
    return count


async def _settle(context: DeliveryContext, now: int, most: int) -> list[FinishedDelivery]:
    rows = await Claim(DELIVERIES, _OVER, (), "created_at", most)
    if not rows:
        return []
    found = await Seek(CHALLENGES, "id", sorted({row[0] for row in rows}))
    owners = {challenge.id: challenge for challenge in map(challenges.of_row, found)}
    settled: list[FinishedDelivery] = []
    changed: list[Delivery] = []
    for delivery in map(deliveries.of_row, rows):
        changed.append(msgspec.structs.replace(delivery, settled_at=now))
        owner = owners.get(delivery.owner)
        if owner is not None:
            settled.append(FinishedDelivery(changed[-1], owner.application, _converted(delivery, owner)))
    came_back = [
        (one.delivery, owner)
        for one in settled
        if (owner := owners[one.delivery.owner]).state is ChallengeState.APPROVED
        and one.delivery.attempts
        and one.delivery.state is not DeliveryState.FAILED
        and is_counted(one.delivery, owner)
    ]
    await count_conversions(context, came_back, now)
    await Write((Update(DELIVERIES, [deliveries.changed_row(one) for one in changed]),))
    return settled


def _converted(delivery: Delivery, challenge: Challenge) -> bool | None:
    """Say whether the code came back: of several messages of one challenge the last one has brought it."""
    if delivery.state not in HANDED_OVER or challenge.state not in COUNTED:
        return None
    return challenge.state is ChallengeState.APPROVED and delivery.number == challenge.sends
