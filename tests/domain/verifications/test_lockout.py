"""A standing: failures are counted across challenges, pause new browsers, and at last lock the contact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clock import DAY, HOUR, NOON

from countersign.domain.verifications.lanes import Lane
from countersign.domain.verifications.lockout import (
    NO_FAILURES,
    ConsecutiveFailures,
    FailedAttempts,
    after_failure,
    guess_pause,
    is_locked,
    is_stopped,
    paused_for,
)

A, P, S, T = Lane


def after(failures: int, *, lane: Lane = P, start: FailedAttempts = NO_FAILURES, now: int = NOON) -> FailedAttempts:
    for _ in range(failures):
        start = after_failure(start, now, lane=lane)
    return start


def test_nineteen_failures_in_a_day_pause_nobody() -> None:
    """C6: the twentieth does."""
    assert paused_for(after(19), NOON, lane=P) == 0


def test_twenty_failures_in_a_day_pause_new_browsers_until_it_ends() -> None:
    """C6: after 20 in a day the new-device lane asks for another method."""
    standing = after(20)
    assert paused_for(standing, NOON, lane=P) == DAY
    assert paused_for(standing, NOON + HOUR, lane=P) == 23 * HOUR
    assert paused_for(standing, NOON + DAY - 1, lane=P) == 1
    assert paused_for(standing, NOON + DAY, lane=P) == 0


def test_strangers_do_not_pause_a_remembered_browser() -> None:
    """C6: the pause is for new browsers."""
    assert paused_for(after(90), NOON, lane=T) == 0


def test_failures_of_a_remembered_browser_do_not_use_up_the_day_of_new_ones() -> None:
    standing = after(30, lane=T)
    assert (standing.in_day, standing.in_a_row) == (0, 30)
    assert paused_for(standing, NOON, lane=P) == 0


@pytest.mark.parametrize(("failures", "locked"), [(0, False), (99, False), (100, True), (101, True)])
@pytest.mark.parametrize("lane", [P, S, T])
def test_a_hundred_in_a_row_lock_the_contact(failures: int, *, locked: bool, lane: Lane) -> None:
    """C6, L3: never more than 100 in a row in a lane."""
    assert is_locked(after(failures, lane=lane), lane=lane) is locked


@pytest.mark.parametrize("fed", [P, S, T])
@pytest.mark.parametrize("stopped", [P, S, T])
def test_no_failure_of_a_weaker_lane_stops_a_stronger_one(fed: Lane, stopped: Lane) -> None:
    """L1: neither for the day, nor for good, though these lanes share a row. Anonymous failures have rows of their own."""
    failures = after(1_000, lane=fed)
    if fed.strength < stopped.strength:
        assert not is_locked(failures, lane=stopped)
        assert paused_for(failures, NOON, lane=stopped) == 0


def test_a_hundred_failures_of_a_stronger_lane_lock_weaker_ones_too() -> None:
    """C6: never more than 100 in a row, whichever browsers they come from."""
    assert is_locked(after(100, lane=T), lane=P)
    assert is_locked(after(60, lane=T, start=after(40, lane=S)), lane=S)
    assert not is_locked(after(60, lane=T, start=after(40, lane=S)), lane=T)


def test_what_anybody_may_ask_for_never_locks() -> None:
    """L2: it pauses, and the pause ends with the day."""
    failures = after(10_000, lane=A)
    assert failures.in_a_row == 0
    assert not is_locked(failures, lane=A)
    assert not is_locked(after(1_000, lane=P), lane=A)
    assert paused_for(failures, NOON, lane=A) == DAY
    assert paused_for(failures, NOON + DAY, lane=A) == 0


def test_wrong_codes_of_a_session_pause_sessions_and_no_sign_in() -> None:
    """C6: a stolen session does not guess without end, and what a signed-in user mistypes pauses no sign-in."""
    failures = after(20, lane=S)
    assert paused_for(failures, NOON, lane=S) == DAY
    assert paused_for(failures, NOON, lane=P) == 0
    assert paused_for(after(19, lane=S), NOON, lane=S) == 0
    assert paused_for(failures, NOON - 1, lane=S) == paused_for(failures, NOON + DAY, lane=S) == 0
    next_day = after_failure(failures, NOON + DAY, lane=S)
    assert (next_day.session_in_day, next_day.session_in_a_row) == (1, 21)


def guesses(count: int, last_at: int = NOON) -> ConsecutiveFailures:
    return ConsecutiveFailures(count, last_at)


def test_guesses_at_an_authenticator_stop_at_a_hundred_in_a_row() -> None:
    """L3."""
    assert not is_stopped(guesses(99))
    assert is_stopped(guesses(100))


def test_passwords_pause_after_a_hundred_in_a_row_each_time_for_longer() -> None:
    """L3, L2: an hour, twice as long each time, and never longer than a day."""
    assert guess_pause(guesses(99), NOON) == 0
    assert [guess_pause(guesses(100 + more), NOON) // HOUR for more in range(8)] == [1, 2, 4, 8, 16, 24, 24, 24]
    assert guess_pause(guesses(100), NOON + HOUR - 1) == 1
    assert guess_pause(guesses(100), NOON + HOUR) == 0
    assert guess_pause(guesses(10_000), NOON + DAY) == 0
    assert guess_pause(guesses(100), NOON - 1) == 0


def test_a_new_day_begins_with_the_first_failure_after_the_last_one_ended() -> None:
    standing = after_failure(after(19), NOON + DAY, lane=P)
    assert standing == FailedAttempts(in_a_row=20, day_began_at=NOON + DAY, in_day=1)


def test_failures_spread_over_days_still_add_up_in_a_row() -> None:
    """C6: 19 a day never pause, and lock on the sixth day."""
    standing, day = NO_FAILURES, 0
    while not is_locked(standing, lane=P):
        standing = after(19, start=standing, now=NOON + day * DAY)
        assert paused_for(standing, NOON + day * DAY, lane=P) == 0
        day += 1
    assert day == 6


@given(st.lists(st.tuples(st.integers(0, DAY), st.booleans()), max_size=150))
def test_every_failure_counts_in_a_row_whatever_the_clock_does(failures: list[tuple[int, bool]]) -> None:
    """C6: the count that locks never goes down by itself."""
    standing = NO_FAILURES
    for number, (at, remembered) in enumerate(failures, 1):
        standing = after_failure(standing, at, lane=T if remembered else P)
        assert standing.in_a_row == number
        assert 0 <= standing.in_day <= number
        assert 0 <= paused_for(standing, at, lane=P) <= DAY
