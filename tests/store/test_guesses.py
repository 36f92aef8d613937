"""Counts of guesses: what one guess costs, what a refused one leaves alone, and what is forgotten once the owner is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from tests.flows.place import query

from countersign.domain.verifications.lockout import HOUR, LOCK_AFTER
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.store.tables import guesses
from countersign.store.tables.guesses import GuessCounter, GuessResult

if TYPE_CHECKING:
    from tests.flows.place import Place

TWO = RateLimit("sign_in_name", 2, HOUR)
ONE = RateLimit("sign_in_network", 1, HOUR)
COUNTER = GuessCounter(limits=((TWO, b"limit"),), failures_key=b"failures")
GATED = msgspec.structs.replace(COUNTER, gates=((ONE, b"gate"),))
UNLIMITED = GuessCounter(limits=(), failures_key=b"failures")


async def guess(place: Place, counter: GuessCounter = COUNTER) -> GuessResult:
    return await place.database.run(guesses.consume, counter, place.clock())


async def in_a_row(place: Place) -> tuple[int, int]:
    """Return the guesses in a row of an account, and of a name that nobody has."""
    rows = await place.database.read(query, "SELECT * FROM standings")
    return (rows[0][1], rows[0][3]) if rows else (0, 0)


async def test_a_guess_beyond_a_limit_is_refused_and_does_not_count_in_a_row(home: Place) -> None:
    """C5, L3."""
    assert [(await guess(home)).is_allowed for _ in range(3)] == [True, True, False]
    assert await in_a_row(home) == (2, 0)


async def test_who_is_over_the_limit_of_a_network_uses_up_nothing_else(home: Place) -> None:
    """L1: neither the tries of the account, nor its guesses in a row."""
    assert [(await guess(home, GATED)).is_allowed for _ in range(5)] == [True, False, False, False, False]
    assert (await guess(home, GATED)).wait > 0
    assert await in_a_row(home) == (1, 0)
    assert (await guess(home)).is_allowed
    assert not (await guess(home)).is_allowed


async def test_the_guesses_of_a_name_that_nobody_has_are_kept_apart(home: Place) -> None:
    """S1: the sweep deletes such rows after a day; the answers are the same."""
    unknown = msgspec.structs.replace(UNLIMITED, has_account=False)
    for _ in range(2):
        assert (await guess(home, unknown)).is_allowed
    assert await in_a_row(home) == (0, 2)


async def test_after_a_hundred_in_a_row_nothing_is_compared(home: Place) -> None:
    """L3: the stop does not end by itself; the pause of a password does."""
    pausing = msgspec.structs.replace(UNLIMITED, pauses=True, failures_key=b"pausing")
    for counter in (UNLIMITED, pausing):
        assert [(await guess(home, counter)).is_allowed for _ in range(LOCK_AFTER + 1)] == [True] * LOCK_AFTER + [False]
        assert (await guess(home, counter)).is_stopped
    home.clock.forward(HOUR)
    assert not (await guess(home, UNLIMITED)).is_allowed
    assert (await guess(home, pausing)).is_allowed


async def test_what_is_forgotten_begins_anew(home: Place) -> None:
    """L3."""
    for _ in range(2):
        await guess(home)
    await home.database.run(guesses.reset, [b"limit"], [])
    assert await in_a_row(home) == (2, 0)
    assert (await guess(home)).is_allowed
    await home.database.run(guesses.reset, [], [b"failures"])
    assert await in_a_row(home) == (0, 0)
    assert [(await guess(home)).is_allowed for _ in range(2)] == [True, False]
