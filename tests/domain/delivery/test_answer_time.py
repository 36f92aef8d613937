"""How long people take to answer: assumed where nothing is known, learned where something is, and never learned beyond bounds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.delivery.answer_time import (
    COUNTED_WITHIN,
    FASTEST_MEDIAN,
    MEDIAN,
    SLOWEST_MEDIAN,
    STEP,
    USUAL,
    AnswerTime,
    LearnedTimes,
    learned,
    log_normal,
)
from countersign.domain.delivery.latency import ProviderKey, ProviderStats, bucket
from countersign.domain.shared.contact import Channel

times = st.dictionaries(st.integers(1_000, 800_000).map(bucket), st.integers(1, 3_000), max_size=8)


def part(curve: AnswerTime, seconds: int) -> float:
    """Return the part of answers that has come after so many seconds."""
    return curve.parts[seconds * 1_000 // STEP]


def entered(seconds: int, count: int) -> dict[int, int]:
    return {bucket(seconds * 1_000): count}


def stats(country: str, seconds: int, count: int, channel: Channel = Channel.SMS) -> dict[ProviderKey, ProviderStats]:
    return {ProviderKey("first", channel, country): ProviderStats(entries=entered(seconds, count))}


def test_half_have_answered_after_the_median_and_nobody_at_once() -> None:
    """D11."""
    assert USUAL.parts[0] == 0
    assert part(USUAL, (MEDIAN + COUNTED_WITHIN) // 1_000) == pytest.approx(0.5, abs=0.05)
    assert USUAL.parts[-1] > 0.99


@given(times)
def test_a_learned_curve_only_rises_and_keeps_its_bounds(known: dict[int, int]) -> None:
    """D11: whoever answers his own messages at once, or as late as he can, teaches no more than this."""
    curve = learned(known, USUAL)
    assert all(one <= next_ for one, next_ in pairwise(curve.parts))
    for found, slowest, fastest in zip(
        curve.parts, log_normal(SLOWEST_MEDIAN).parts, log_normal(FASTEST_MEDIAN).parts, strict=True
    ):
        assert slowest <= found <= fastest


def test_people_who_take_long_are_given_long() -> None:
    """D11."""
    assert part(learned(entered(120, 500), USUAL), 90) < part(USUAL, 90) / 2
    assert part(learned(entered(20, 500), USUAL), 40) > part(USUAL, 40) * 2


def test_one_answer_teaches_little() -> None:
    """D11."""
    assert part(learned(entered(5, 1), USUAL), 10) < part(USUAL, 10) + 0.06
    assert learned({}, USUAL) is USUAL


def test_each_country_has_a_time_of_its_own_and_an_unknown_one_that_of_all() -> None:
    """D11."""
    known = LearnedTimes({**stats("DE", 20, 500), **stats("IN", 120, 500)})
    quick, slow, other = (part(known.of(country).own, 60) for country in ("DE", "IN", "FR"))
    assert slow < other < quick
    assert LearnedTimes({}).of("DE").own == USUAL


def test_in_a_country_the_slowest_channel_counts_and_mail_does_not() -> None:
    """D11: all channels of a number are counted together."""
    both = LearnedTimes({**stats("DE", 20, 500, Channel.VOICE), **stats("DE", 120, 500)})
    alone = LearnedTimes(stats("DE", 120, 500))
    assert both.of("DE").own == alone.of("DE").own
    assert LearnedTimes(stats("DE", 20, 500, Channel.EMAIL)).of("DE").own == USUAL


def test_new_prefixes_together_are_given_no_less_than_is_usual() -> None:
    """D11: they lie in many countries, of which the one that is known may be the quickest."""
    found = LearnedTimes(stats("DE", 10, 2_000)).of("DE")
    assert all(wide <= usual for wide, usual in zip(found.wide.parts, USUAL.parts, strict=True))
    assert part(found.own, 30) > part(found.wide, 30)


def test_nine_of_ten_answers_are_waited_for() -> None:
    """D11."""
    quick, slow = (LearnedTimes(stats("DE", seconds, 2_000)).of("DE").waits for seconds in (10, 200))
    assert quick < LearnedTimes({}).of("DE").waits < slow
