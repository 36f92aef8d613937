"""Pauses: they grow, and what is of use for minutes is never left alone for long."""

from __future__ import annotations

from tests.clock import MINUTE, SECOND

from countersign.domain.delivery.notice import LIFETIME
from countersign.domain.delivery.pauses import long_pause


def test_pauses_grow_to_two_minutes_for_a_code() -> None:
    """D8."""
    assert [long_pause(number, 10 * MINUTE) // SECOND for number in range(1, 7)] == [30, 60, 120, 120, 120, 120]


def test_pauses_grow_to_an_hour_for_what_is_of_use_for_a_week() -> None:
    """D8: a dead mail server is not asked five thousand times about one notice."""
    pauses = [long_pause(number, LIFETIME) // MINUTE for number in range(1, 200)]
    assert pauses[:8] == [0, 1, 2, 4, 8, 16, 32, 60]
    assert set(pauses[8:]) == {60}
