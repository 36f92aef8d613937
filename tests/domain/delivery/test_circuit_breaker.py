"""A breaker: three failures in a row leave a provider out, one message shows whether it is back."""

from __future__ import annotations

import pytest

from countersign.domain.delivery.circuit_breaker import (
    PROBE,
    RESTS,
    CircuitBreaker,
    after_failure,
    after_success,
    begin_probe,
)
from countersign.domain.delivery.delivery import Reason
from countersign.domain.delivery.latency import MAX_ANSWER_TIMEOUT

NOON = 1_795_428_000_000


def after(*reasons: Reason) -> CircuitBreaker:
    breaker = CircuitBreaker("a")
    for place, reason in enumerate(reasons):
        breaker = after_failure(breaker, reason, NOON + place)
    return breaker


def test_the_third_failure_in_a_row_leaves_it_out() -> None:
    """D2."""
    assert not after(Reason.TIMED_OUT, Reason.UNREACHABLE).tripped
    tripped = after(Reason.TIMED_OUT, Reason.UNREACHABLE, Reason.PROVIDER_ERROR)
    assert (tripped.until, tripped.reason) == (NOON + 2 + RESTS[0], "provider_error")
    assert tripped.is_open(NOON + 2 + RESTS[0] - 1)
    assert not tripped.is_open(NOON + 2 + RESTS[0])


def test_a_message_that_is_taken_begins_the_count_anew() -> None:
    breaker = after_success(after(Reason.TIMED_OUT, Reason.TIMED_OUT), NOON)
    assert not after_failure(after_failure(breaker, Reason.TIMED_OUT, NOON), Reason.TIMED_OUT, NOON).tripped


@pytest.mark.parametrize(
    "reason", [Reason.UNKNOWN_RECIPIENT, Reason.REFUSED, Reason.BLOCKED, Reason.GREYLISTED, Reason.MAILBOX_FULL]
)
def test_what_is_wrong_with_a_recipient_says_nothing_of_the_provider(reason: Reason) -> None:
    assert after(*[reason] * 10) == CircuitBreaker("a")


def test_failures_of_what_was_under_way_when_it_tripped_do_not_lengthen_its_rest() -> None:
    tripped = after(*[Reason.TIMED_OUT] * 3)
    assert after_failure(tripped, Reason.TIMED_OUT, NOON + 10) == tripped


def test_one_message_shows_whether_it_is_back_and_all_others_pass_it_over_meanwhile() -> None:
    at = NOON + 2 + RESTS[0]
    probing = begin_probe(after(*[Reason.TIMED_OUT] * 3), at)
    assert probing.is_open(at + PROBE - 1)
    back = after_success(probing, at + 5)
    assert (back.tripped, back.trips) == (False, 0)


def test_each_failed_try_to_come_back_makes_the_rest_longer_up_to_the_last() -> None:
    breaker, now, rests = after(*[Reason.TIMED_OUT] * 3), NOON, []
    for _ in range(6):
        now = breaker.until or 0
        breaker = after_failure(begin_probe(breaker, now), Reason.TIMED_OUT, now + 9)
        rests.append((breaker.until or 0) - now - 9)
    assert rests == [*RESTS[1:], *[RESTS[-1]] * 3]


def test_a_probe_whose_worker_died_is_followed_by_another() -> None:
    probing = begin_probe(after(*[Reason.TIMED_OUT] * 3), NOON)
    assert not probing.is_open(NOON + PROBE)


def test_a_probe_may_take_longer_than_a_response_of_a_provider() -> None:
    assert PROBE > MAX_ANSWER_TIMEOUT
