"""The counts that the rules of SMS pumping look at: what had its time, what may still be answered, and what no longer counts."""

from __future__ import annotations

from tests.domain.delivery.test_sms_pumping import NOW, at

from countersign.domain.delivery.answer_time import HORIZON
from countersign.domain.delivery.sms_traffic import DAY, HOUR, MINUTE, Hold, TrafficHistory
from countersign.domain.delivery.traffic_tally import BURST, tally_of


def test_a_message_is_due_as_far_as_people_have_had_the_time() -> None:
    """D11: not at all at first, in part for some minutes, and then for good."""
    ages = (0, MINUTE, 10 * MINUTE, HORIZON + MINUTE, 2 * HOUR)
    due = [tally_of(TrafficHistory((at(age, 100, 0),)), NOW).due for age in ages]
    assert due == sorted(due)
    assert due[0] == 0
    assert 20 < due[1] < 80
    assert due[3:] == [100, 100]


def test_after_a_clock_was_set_back_what_was_just_sent_is_not_long_unanswered() -> None:
    """D11: its slot lies in the future."""
    for ahead in (20_000, MINUTE, 10 * MINUTE):
        tally = tally_of(TrafficHistory((at(-ahead, 100, 0),)), NOW)
        assert (tally.due, tally.day, tally.waiting) == (0, 100, 100)


def test_what_came_before_a_hold_counts_no_more_when_it_is_over() -> None:
    """D7: nor for it, nor against it."""
    slots = (at(2 * HOUR, 40, 7), at(10 * MINUTE, 3, 1))
    over = TrafficHistory(slots, Hold(NOW - 2 * HOUR, NOW - HOUR, 1))
    tally = tally_of(over, NOW)
    assert (tally.day, tally.day_converted) == (3, 1)
    assert (tally_of(TrafficHistory(slots), NOW).day, tally_of(TrafficHistory(slots), NOW).day_converted) == (43, 8)


def test_a_window_has_what_is_over_and_what_is_open_apart() -> None:
    """D11: of the shortest window all may still be answered."""
    tally = tally_of(
        TrafficHistory((at(5 * MINUTE, 1, 0), at(12 * MINUTE, 2, 0), at(30 * MINUTE, 4, 1), at(2 * HOUR, 8, 3))), NOW
    )
    assert (tally.sent(BURST), tally.sent(HOUR), tally.sent(DAY)) == (1, 7, 15)
    assert (tally.settled(BURST), tally.settled(HOUR), tally.settled(DAY)) == ((0, 0), (4, 1), (12, 4))
    assert [sent for _, sent, *_ in tally.since(NOW - HORIZON)] == [2, 1]
