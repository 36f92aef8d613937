"""Reading a verification: its state and messages, for its own application only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clock import SECOND
from tests.flows.place import BANK, SHOP, Place, done

from countersign.domain.verifications.challenge import ChallengeState
from countersign.flows.verifications.get import find_challenge, get_challenge

if TYPE_CHECKING:
    from tests.clock import FixedClock


async def test_a_verification_is_read_with_its_messages_oldest_first(each_place: Place, clock: FixedClock) -> None:
    challenge = await each_place.begun()
    clock.forward(30 * SECOND)
    resent = done(await each_place.resend(challenge)).challenge
    view = await get_challenge(each_place.core, SHOP, challenge.id)
    assert view is not None
    assert view.challenge == resent
    assert [delivery.number for delivery in view.deliveries] == [1, 2]
    assert view.challenge.state is ChallengeState.PENDING


async def test_another_applications_verification_looks_like_none(place: Place) -> None:
    """C4."""
    challenge = await place.begun()
    assert await find_challenge(place.core, SHOP, challenge.id) == challenge
    for application, id_ in ((BANK, challenge.id), (SHOP, "ver_none"), (SHOP, "")):
        assert await find_challenge(place.core, application, id_) is None
        assert await get_challenge(place.core, application, id_) is None
