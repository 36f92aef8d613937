"""A pace: times by bucket, a patience that is learned, and counts that stay young."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.delivery.latency import (
    BUCKET_GROWTH,
    FIRST_BUCKET,
    MAX_ANSWER_TIMEOUT,
    MAX_RECEIPT_TIMEOUT,
    MAX_SAMPLES,
    MAX_TIME,
    MIN_ANSWER_TIMEOUT,
    MIN_RECEIPT_TIMEOUT,
    MIN_SAMPLES,
    ProviderStats,
    answer_timeout,
    bucket,
    merged,
    quantile,
    receipt_timeout,
)


def seen(*times: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for time in times:
        found[bucket(time)] = found.get(bucket(time), 0) + 1
    return found


@given(st.integers(0, 10_000_000))
def test_a_bucket_holds_its_times_and_is_at_most_a_quarter_too_wide(time: int) -> None:
    bounded = min(max(time, FIRST_BUCKET), MAX_TIME)
    bound = FIRST_BUCKET * BUCKET_GROWTH ** bucket(time)
    assert bounded <= bound * 1.000001
    assert bound <= bounded * BUCKET_GROWTH * 1.000001


@given(st.lists(st.integers(FIRST_BUCKET, MAX_TIME), min_size=MIN_SAMPLES, max_size=200))
def test_a_learned_time_is_that_of_95_in_100(times: list[int]) -> None:
    learned = quantile(seen(*times), 0.95)
    assert learned is not None
    assert sum(time <= learned + 1 for time in times) >= 0.95 * len(times)
    assert sum(time * BUCKET_GROWTH < learned - 1 for time in times) <= 0.95 * len(times)


def test_nothing_is_made_of_a_few_times() -> None:
    few = ProviderStats(receipts=seen(*[8_000] * (MIN_SAMPLES - 1)))
    assert receipt_timeout(few, 60_000, last=False) == 60_000
    assert answer_timeout(ProviderStats(answers=seen(*[900] * (MIN_SAMPLES - 1)))) == MIN_ANSWER_TIMEOUT


def test_a_receipt_is_missing_after_what_95_in_100_took_there() -> None:
    """D2: a learned patience, within its bounds; the last of a route is never waited for less than it promised."""
    quick = ProviderStats(receipts=seen(*[8_000] * 95, *[70_000] * 5))
    learned = receipt_timeout(quick, 60_000, last=False)
    assert learned is not None
    assert 8_000 <= learned <= 10_000
    assert receipt_timeout(quick, 60_000, last=True) == 60_000
    assert receipt_timeout(ProviderStats(receipts=seen(*[300] * 50)), 60_000, last=False) == MIN_RECEIPT_TIMEOUT
    assert receipt_timeout(ProviderStats(receipts=seen(*[800_000] * 50)), 60_000, last=False) == MAX_RECEIPT_TIMEOUT
    assert receipt_timeout(quick, None, last=False) is None, "nothing is waited for that was never promised"


def test_a_provider_is_hurried_by_its_own_usual_time_while_another_could_take_the_message() -> None:
    assert answer_timeout(None) == MIN_ANSWER_TIMEOUT
    assert answer_timeout(ProviderStats(answers=seen(*[150] * 50))) == MIN_ANSWER_TIMEOUT
    assert 4_500 <= answer_timeout(ProviderStats(answers=seen(*[1_500] * 50))) <= 6_000
    assert answer_timeout(ProviderStats(answers=seen(*[9_000] * 50))) == MAX_ANSWER_TIMEOUT


def test_what_is_learned_stays_young() -> None:
    old = ProviderStats(ended=MAX_SAMPLES, converted=MAX_SAMPLES, receipts=seen(*[1_000] * MAX_SAMPLES))
    both = merged(old, ProviderStats(ended=1, converted=0, receipts=seen(50_000)))
    assert (both.ended, both.converted) == (MAX_SAMPLES // 2, MAX_SAMPLES // 2)
    assert sum(both.receipts.values()) <= MAX_SAMPLES // 2
    now = ProviderStats()
    for _ in range(3 * MAX_SAMPLES):
        now = merged(now, ProviderStats(ended=1, converted=1))
    for _ in range(3 * MAX_SAMPLES):
        now = merged(now, ProviderStats(ended=1, converted=0))
    assert now.conversion is not None
    assert now.conversion < 0.2


def test_a_conversion_is_told_only_of_enough() -> None:
    assert ProviderStats(ended=MIN_SAMPLES - 1, converted=MIN_SAMPLES - 1).conversion is None
    assert ProviderStats(ended=20, converted=15).conversion == 0.75
