"""A standing: failures are counted across challenges, pause new browsers, and at last lock the contact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clock import DAY, HOUR, NOON

from countersign.domain.verifications.lockout import NO_FAILURES, FailedAttempts, after_failure, is_locked, paused_for


def after(
    failures: int, *, remembered: bool = False, start: FailedAttempts = NO_FAILURES, now: int = NOON
) -> FailedAttempts:
    for _ in range(failures):
        start = after_failure(start, now, remembered=remembered)
    return start


def test_nineteen_failures_in_a_day_pause_nobody() -> None:
    """C6: the twentieth does."""
    assert paused_for(after(19), NOON, remembered=False) == 0


def test_twenty_failures_in_a_day_pause_new_browsers_until_it_ends() -> None:
    """C6: after 20 in a day the new-device lane asks for another method."""
    standing = after(20)
    assert paused_for(standing, NOON, remembered=False) == DAY
    assert paused_for(standing, NOON + HOUR, remembered=False) == 23 * HOUR
    assert paused_for(standing, NOON + DAY - 1, remembered=False) == 1
    assert paused_for(standing, NOON + DAY, remembered=False) == 0


def test_strangers_do_not_pause_a_remembered_browser() -> None:
    """C6: the pause is for new browsers."""
    assert paused_for(after(90), NOON, remembered=True) == 0


def test_failures_of_a_remembered_browser_do_not_use_up_the_day_of_new_ones() -> None:
    standing = after(30, remembered=True)
    assert (standing.in_day, standing.in_a_row) == (0, 30)
    assert paused_for(standing, NOON, remembered=False) == 0


@pytest.mark.parametrize(("failures", "locked"), [(0, False), (99, False), (100, True), (101, True)])
@pytest.mark.parametrize("remembered", [False, True])
def test_a_hundred_in_a_row_lock_the_contact(failures: int, *, locked: bool, remembered: bool) -> None:
    """C6: never more than 100 in a row, whichever browsers they come from."""
    assert is_locked(after(failures, remembered=remembered)) is locked


def test_a_new_day_begins_with_the_first_failure_after_the_last_one_ended() -> None:
    standing = after_failure(after(19), NOON + DAY, remembered=False)
    assert standing == FailedAttempts(in_a_row=20, day_began_at=NOON + DAY, in_day=1)


def test_failures_spread_over_days_still_add_up_in_a_row() -> None:
    """C6: 19 a day never pause, and lock on the sixth day."""
    standing, day = NO_FAILURES, 0
    while not is_locked(standing):
        standing = after(19, start=standing, now=NOON + day * DAY)
        assert paused_for(standing, NOON + day * DAY, remembered=False) == 0
        day += 1
    assert day == 6


@given(st.lists(st.tuples(st.integers(0, DAY), st.booleans()), max_size=150))
def test_every_failure_counts_in_a_row_whatever_the_clock_does(failures: list[tuple[int, bool]]) -> None:
    """C6: the count that locks never goes down by itself."""
    standing = NO_FAILURES
    for number, (at, remembered) in enumerate(failures, 1):
        standing = after_failure(standing, at, remembered=remembered)
        assert standing.in_a_row == number
        assert 0 <= standing.in_day <= number
        assert 0 <= paused_for(standing, at, remembered=False) <= DAY
