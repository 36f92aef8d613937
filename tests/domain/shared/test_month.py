"""Months in UTC."""

import pytest

from countersign.domain.shared.month import month_end, month_number, month_of, next_month

JANUARY = 1_767_225_600_000
"""2026-01-01 00:00:00 UTC."""


def test_a_month_begins_and_ends_at_midnight_utc() -> None:
    assert [month_of(at) for at in (JANUARY - 1, JANUARY, JANUARY + 31 * 86_400_000 - 1)] == [
        "2025-12",
        "2026-01",
        "2026-01",
    ]
    assert month_end("2025-12") == JANUARY
    assert month_end("2026-02") - month_end("2026-01") == 28 * 86_400_000
    assert month_end("2024-02") - month_end("2024-01") == 29 * 86_400_000


def test_months_are_counted_across_years() -> None:
    assert next_month("2026-12") == "2027-01"
    assert next_month("2026-01") == "2026-02"
    assert month_number("2027-01") - month_number("2025-12") == 13
    with pytest.raises(ValueError, match="unconverted"):
        month_end("2026-13")
