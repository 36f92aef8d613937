"""Somebody begins challenge after challenge for one victim, and spends every guess of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.clock import DAY, MINUTE, FixedClock
from tests.flows.place import Place, done, place_at, refused

from countersign.domain.policy import InstallationPolicy
from countersign.domain.verifications.challenge import Action, Refusal
from countersign.flows.verifications.results import Done

if TYPE_CHECKING:
    from pathlib import Path


async def flood(place: Place, rounds: int, device: str = "") -> tuple[int, Refusal | None]:
    """Guess through that many challenges; return how many guesses were compared and what stopped it."""
    compared = 0
    for number in range(rounds):
        begun = await place.begin(
            action=Action(hash=f"{place.clock()}-{number}"), device=device, ip=f"203.0.113.{number % 200}"
        )
        if not isinstance(begun, Done):
            return compared, refused(begun).refusal
        for _ in range(6):
            outcome = refused(await place.answer(begun.challenge, place.wrong(begun.challenge)))
            compared += outcome.refusal is Refusal.WRONG_CODE
    return compared, None


async def test_from_new_browsers_twenty_guesses_a_day_are_compared(each_place: Place) -> None:
    """C6: whatever addresses and sessions they come from."""
    assert await flood(each_place, 50) == (20, Refusal.CONTACT_PAUSED)


async def test_from_anywhere_a_hundred_guesses_in_a_row_are_compared(place: Place, clock: FixedClock) -> None:
    """C6, L1: over days; then the contact must be bound anew, and the owner's remembered browser goes on."""
    total = 0
    for _ in range(30):
        compared, _ = await flood(place, 30)
        total += compared
        clock.forward(DAY)
    assert total == 100
    assert await flood(place, 1) == (0, Refusal.CONTACT_LOCKED)
    challenge = await place.begun(device="remembered", action=Action(hash="the owner's"))
    done(await place.answer(challenge, place.code(challenge)))
    assert await flood(place, 1) == (5, None)


async def test_a_hundred_guesses_in_a_row_are_compared_on_the_lane_of_remembered_browsers(
    place: Place, clock: FixedClock
) -> None:
    """C6, L3: however many browsers an application says it remembers."""
    total = 0
    for number in range(30):
        compared, _ = await flood(place, 30, device=f"remembered {number}")
        total += compared
        clock.forward(DAY)
    assert total == 100
    assert await flood(place, 1, device="another") == (0, Refusal.CONTACT_LOCKED)


@pytest.mark.parametrize(("device", "most"), [("", 20), ("a browser that is remembered", 100)])
async def test_challenges_begun_beforehand_give_no_guess_more(place: Place, device: str, most: int) -> None:
    """C6: the pause at twenty a day and the lock at a hundred in a row forbid answers too, not new challenges alone."""
    hoard = [await place.begun(action=Action(hash=str(number)), device=device) for number in range(60)]
    compared = 0
    for challenge in hoard:
        for _ in range(5):
            compared += refused(await place.answer(challenge, place.wrong(challenge))).refusal is Refusal.WRONG_CODE
    assert compared == most


async def test_the_budget_of_messages_keeps_a_hoard_small(sqlite_url: str, tmp_path: Path) -> None:
    """C6: as it is shipped, ten challenges at once are all that can be hoarded for one contact."""
    async with place_at(sqlite_url, tmp_path, rules=InstallationPolicy()) as place:
        begun = [await place.begin(action=Action(hash=str(number))) for number in range(30)]
        assert sum(isinstance(one, Done) for one in begun) == 10


async def test_the_victim_signs_in_from_a_remembered_browser_meanwhile(place: Place, clock: FixedClock) -> None:
    """S7: a pause is for browsers that nobody knows."""
    await flood(place, 50)
    clock.forward(MINUTE)
    challenge = await place.begun(device="the owner's browser")
    done(await place.answer(challenge, place.code(challenge)))
