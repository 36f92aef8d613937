"""A pace: times by bucket, a patience that is learned, and counts that stay young."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.delivery.latency import (
    ENOUGH,
    FINEST,
    HURRIED,
    LATEST_OVERDUE,
    LONGEST,
    MOST_HURRIED,
    REMEMBERED,
    SOONEST_OVERDUE,
    STEP,
    ProviderStats,
    answer_within,
    bucket,
    merged,
    quantile,
    receipt_within,
)


def seen(*times: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for time in times:
        found[bucket(time)] = found.get(bucket(time), 0) + 1
    return found


@given(st.integers(0, 10_000_000))
def test_a_bucket_holds_its_times_and_is_at_most_a_quarter_too_wide(time: int) -> None:
    bounded = min(max(time, FINEST), LONGEST)
    bound = FINEST * STEP ** bucket(time)
    assert bounded <= bound * 1.000001
    assert bound <= bounded * STEP * 1.000001


@given(st.lists(st.integers(FINEST, LONGEST), min_size=ENOUGH, max_size=200))
def test_a_learned_time_is_that_of_95_in_100(times: list[int]) -> None:
    learned = quantile(seen(*times), 0.95)
    assert learned is not None
    assert sum(time <= learned + 1 for time in times) >= 0.95 * len(times)
    assert sum(time * STEP < learned - 1 for time in times) <= 0.95 * len(times)


def test_nothing_is_made_of_a_few_times() -> None:
    few = ProviderStats(receipts=seen(*[8_000] * (ENOUGH - 1)))
    assert receipt_within(few, 60_000, last=False) == 60_000
    assert answer_within(ProviderStats(answers=seen(*[900] * (ENOUGH - 1)))) == HURRIED


def test_a_receipt_is_missing_after_what_95_in_100_took_there() -> None:
    """D2: a learned patience, within its bounds; the last of a route is never waited for less than it promised."""
    quick = ProviderStats(receipts=seen(*[8_000] * 95, *[70_000] * 5))
    learned = receipt_within(quick, 60_000, last=False)
    assert learned is not None
    assert 8_000 <= learned <= 10_000
    assert receipt_within(quick, 60_000, last=True) == 60_000
    assert receipt_within(ProviderStats(receipts=seen(*[300] * 50)), 60_000, last=False) == SOONEST_OVERDUE
    assert receipt_within(ProviderStats(receipts=seen(*[800_000] * 50)), 60_000, last=False) == LATEST_OVERDUE
    assert receipt_within(quick, None, last=False) is None, "nothing is waited for that was never promised"


def test_a_provider_is_hurried_by_its_own_usual_time_while_another_could_take_the_message() -> None:
    assert answer_within(None) == HURRIED
    assert answer_within(ProviderStats(answers=seen(*[150] * 50))) == HURRIED
    assert 4_500 <= answer_within(ProviderStats(answers=seen(*[1_500] * 50))) <= 6_000
    assert answer_within(ProviderStats(answers=seen(*[9_000] * 50))) == MOST_HURRIED


def test_what_is_learned_stays_young() -> None:
    old = ProviderStats(ended=REMEMBERED, converted=REMEMBERED, receipts=seen(*[1_000] * REMEMBERED))
    both = merged(old, ProviderStats(ended=1, converted=0, receipts=seen(50_000)))
    assert (both.ended, both.converted) == (REMEMBERED // 2, REMEMBERED // 2)
    assert sum(both.receipts.values()) <= REMEMBERED // 2
    now = ProviderStats()
    for _ in range(3 * REMEMBERED):
        now = merged(now, ProviderStats(ended=1, converted=1))
    for _ in range(3 * REMEMBERED):
        now = merged(now, ProviderStats(ended=1, converted=0))
    assert now.conversion is not None
    assert now.conversion < 0.2


def test_a_conversion_is_told_only_of_enough() -> None:
    assert ProviderStats(ended=ENOUGH - 1, converted=ENOUGH - 1).conversion is None
    assert ProviderStats(ended=20, converted=15).conversion == 0.75
