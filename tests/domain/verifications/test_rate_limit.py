"""A limit: a burst, then a steady rate, by one timestamp; whatever the clock does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.clock import HOUR, MINUTE, NOON

from countersign.domain.verifications.rate_limit import RateLimit, check_limit

FIVE = RateLimit("destination", 5, 10 * MINUTE)

limits = st.builds(RateLimit, st.just("any"), st.integers(1, 20), st.integers(1, 1_000))


def spend(limit: RateLimit, tat: int | None, now: int, times: int) -> tuple[int | None, int]:
    """Ask for `times` acts, keeping the timestamp of those that were allowed, as the flows do."""
    allowed = 0
    for _ in range(times):
        room = check_limit(limit, tat, now)
        if room.allowed:
            allowed += 1
            tat = room.tat
    return tat, allowed


def test_a_burst_is_allowed_at_once_and_then_one_each_interval() -> None:
    tat, allowed = spend(FIVE, None, NOON, 20)
    assert allowed == 5
    tat, allowed = spend(FIVE, tat, NOON + 2 * MINUTE - 1, 20)
    assert allowed == 0
    tat, allowed = spend(FIVE, tat, NOON + 2 * MINUTE, 20)
    assert allowed == 1
    _, allowed = spend(FIVE, tat, NOON + HOUR, 20)
    assert allowed == 5


def test_what_is_left_and_when_to_try_again_are_told() -> None:
    tat: int | None = None
    for remaining in (4, 3, 2, 1, 0):
        room = check_limit(FIVE, tat, NOON)
        assert (room.allowed, room.remaining, room.retry_after) == (True, remaining, 0)
        tat = room.tat
        assert room.reset_after == (5 - remaining) * 2 * MINUTE
    room = check_limit(FIVE, tat, NOON + MINUTE)
    assert (room.allowed, room.remaining, room.retry_after, room.reset_after) == (False, 0, MINUTE, 9 * MINUTE)


def test_the_refused_do_not_count() -> None:
    tat, _ = spend(FIVE, None, NOON, 5)
    for _ in range(1_000):
        room = check_limit(FIVE, tat, NOON)
        assert not room.allowed
        assert room.tat == tat


@given(limits, st.lists(st.integers(0, 2_000), min_size=1, max_size=60))
def test_no_window_has_more_than_the_burst_and_the_rate(limit: RateLimit, pauses: list[int]) -> None:
    """Between any two allowed acts lie at most a burst and what the rate gives in that time."""
    tat, now = None, NOON
    times: list[int] = []
    for pause in pauses:
        now += pause
        tat, allowed = spend(limit, tat, now, 3)
        times += [now] * allowed
    for first, began in enumerate(times):
        for last in range(first, len(times)):
            assert last - first + 1 <= limit.burst + (times[last] - began) // limit.interval


@given(limits, st.integers(0, 50), st.integers(0, 5_000))
def test_who_waits_as_long_as_told_is_let_in_and_not_before(limit: RateLimit, acts: int, pause: int) -> None:
    tat, _ = spend(limit, None, NOON, acts)
    now = NOON + pause
    room = check_limit(limit, tat, now)
    if not room.allowed:
        assert not check_limit(limit, tat, now + room.retry_after - 1).allowed
        assert check_limit(limit, tat, now + room.retry_after).allowed


@given(limits, st.integers(1, 10**12), st.integers(0, 50))
def test_a_clock_that_was_set_back_bars_nobody_for_longer_than_two_periods(
    limit: RateLimit, step: int, acts: int
) -> None:
    """A machine that was years ahead must not leave behind limits that are met for years."""
    tat, _ = spend(limit, None, NOON + step, acts)
    room = check_limit(limit, tat, NOON)
    if not room.allowed:
        assert room.retry_after <= 2 * limit.interval * limit.burst
        assert check_limit(limit, tat, NOON + room.retry_after).allowed


@given(limits, st.data())
def test_machines_whose_clocks_differ_by_less_than_a_period_give_no_more_than_one(
    limit: RateLimit, data: st.DataObject
) -> None:
    """Two programs that take turns, one behind the other, are one limit."""
    skew = data.draw(st.integers(0, limit.interval * limit.burst - 1))
    tat, allowed = spend(limit, None, NOON + skew, 100)
    assert allowed == limit.burst
    _, allowed = spend(limit, tat, NOON, 100)
    assert allowed == 0


@given(limits, st.integers(1, 10**12))
def test_a_clock_that_was_set_forward_gives_one_burst_and_no_more(limit: RateLimit, step: int) -> None:
    tat, _ = spend(limit, None, NOON, 100)
    _, allowed = spend(limit, tat, NOON + step, 100)
    assert allowed <= limit.burst


def test_a_rate_above_one_a_millisecond_is_held_to_one() -> None:
    assert RateLimit("wild", 10, 1).interval == 1
