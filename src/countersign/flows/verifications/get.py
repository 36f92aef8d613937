"""Look at a challenge: as it stands now, with its messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.delivery.delivery import Delivery
from countersign.domain.verifications.challenge import Challenge
from countersign.store.tables import challenges, deliveries

if TYPE_CHECKING:
    from countersign.domain.shared.application import Application
    from countersign.flows.context import CoreContext


class ChallengeView(msgspec.Struct, frozen=True):
    """A challenge with every message that was owed for it, oldest first."""

    challenge: Challenge
    deliveries: tuple[Delivery, ...]


async def find_challenge(core: CoreContext, application: Application, challenge_id: str) -> Challenge | None:
    """Return an application's challenge; None for an unknown one and another application's alike."""
    found = await core.database.read(challenges.find, challenge_id)
    return found if found is not None and found.application == application.id else None


async def get_challenge(core: CoreContext, application: Application, challenge_id: str) -> ChallengeView | None:
    """Return an application's challenge with its messages, in one snapshot."""
    return await core.database.read(_seen, challenge_id, application.id)


async def _seen(challenge_id: str, application: str) -> ChallengeView | None:
    found = await challenges.find(challenge_id)
    if found is None or found.application != application:
        return None
    owed = await deliveries.of_owner(challenge_id)
    return ChallengeView(found, tuple(owed))
