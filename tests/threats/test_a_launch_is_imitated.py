"""A pumper who knows that launches pass sends like one: he wins what went before anybody could have answered, and no more."""

from __future__ import annotations

import pytest
from tests.domain.delivery.launches import BEGAN, Asked, Judge, attack, launch

from countersign.domain.delivery.sms_pumping import ALLOWANCES, LAUNCH, PumpingPolicy, PumpingRule
from countersign.domain.delivery.sms_traffic import TrafficScope


def test_three_thousand_in_a_minute_to_one_new_prefix_are_cut_at_its_allowance() -> None:
    """D7, D11: no answer could have come yet; that a launch spreads is enough to tell them apart."""
    judge = Judge()
    judge.judge(attack(50, 60, 1))
    assert judge.sent[False] == ALLOWANCES[TrafficScope.PREFIX]


def test_few_prefixes_are_no_launch() -> None:
    """D7, D11."""
    judge = Judge()
    judge.judge(attack(50, 60, 3))
    assert judge.sent[False] <= 3 * ALLOWANCES[TrafficScope.PREFIX] + 30


@pytest.mark.parametrize("begins", [5, 20, 45])
def test_one_prefix_beside_a_launch_is_cut_and_the_launch_goes_on(begins: float) -> None:
    """D7, D11: a prefix has no more than its part of what waits in all new ones."""
    judge = Judge()
    judge.judge([*launch(10, 60), *attack(50, 10, 1, begins=begins)])
    assert judge.sent[False] <= 120
    assert judge.refused[True] == 0
    assert {scope for scope, _ in judge.rules} == {TrafficScope.PREFIX}


def test_who_sends_like_a_launch_is_cut_when_people_would_have_answered() -> None:
    """D7, D11: until then nobody can tell. What it costs is the rate times the time people take (docs/decisions/0054)."""
    judge = Judge()
    judge.judge(attack(10, 60, 30, 4))
    assert judge.sent[False] < 400
    assert judge.rules[0][1] in {PumpingRule.ALLOWANCE, PumpingRule.CONVERSION}


def test_who_sends_all_of_it_before_anybody_could_have_answered_has_one_bound() -> None:
    """D7, D11: 2,500 in five seconds over fifty prefixes of ten countries."""
    judge = Judge()
    judge.judge(attack(500, 5, 50, 10))
    assert judge.sent[False] <= LAUNCH
    small = Judge(PumpingPolicy(launch=100))
    small.judge(attack(500, 5, 50, 10))
    assert small.sent[False] <= 100


def test_the_launch_that_one_imitates_has_no_second_time() -> None:
    """D7: after the hold a few are tried, whatever the spread."""
    judge = Judge()
    judge.judge(attack(10, 60, 30, 4))
    before = judge.sent[False]
    judge.judge(attack(50, 30, 40, 4, begins=40 * 60, seed=3))
    assert judge.sent[False] - before < 60


def test_who_answers_one_in_ten_himself_gains_four_for_each() -> None:
    """D7, D11."""
    judge = Judge()
    paid = [
        Asked(one.at, one.number, one.prefix, one.country, honest=False, answered_in=2_000 if n % 10 == 0 else None)
        for n, one in enumerate(attack(20, 60, 1))
    ]
    judge.judge(paid)
    assert judge.sent[False] < 80


def test_what_is_scattered_slowly_over_new_prefixes_has_one_allowance() -> None:
    """D7: people would have answered long ago, so nothing but the allowance counts."""
    judge = Judge()
    judge.judge(attack(0.2, 600, 50, 10))
    assert judge.sent[False] <= ALLOWANCES[TrafficScope.NEW_PREFIXES] + 3


def test_a_burst_over_a_busy_prefix_is_cut_while_its_codes_should_come_back() -> None:
    """D7: a prefix that is known has an allowance of thousands. Its conversions stop what its allowance lets go."""
    judge = Judge()
    judge.judge(launch(2, 300, median=20))
    begins = (300 + 1) * 1_000
    burst = [
        Asked(BEGAN + begins + n * 20, f"+1171{n * 7_919 % 10**7:07d}", "+1171", "US", honest=False)
        for n in range(1_500)
    ]
    judge.judge(burst)
    assert judge.sent[False] < 500
