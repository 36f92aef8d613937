"""Read a verification: its current state and its messages."""

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
    """A challenge with its messages, oldest first."""

    challenge: Challenge
    deliveries: tuple[Delivery, ...]


async def find_challenge(core: CoreContext, application: Application, challenge_id: str) -> Challenge | None:
    """Return a challenge of an application. None if it does not exist or belongs to another application."""
    found = await core.database.read(challenges.find, challenge_id)
    return found if found is not None and found.application == application.id else None


async def get_challenge(core: CoreContext, application: Application, challenge_id: str) -> ChallengeView | None:
    """Return a challenge of an application with its messages, read in one snapshot. None as in `find_challenge`."""
    return await core.database.read(_find_view, challenge_id, application.id)


async def _find_view(challenge_id: str, application: str) -> ChallengeView | None:
    found = await challenges.find(challenge_id)
    if found is None or found.application != application:
        return None
    sent = await deliveries.list_by_owner(challenge_id)
    return ChallengeView(found, tuple(sent))
