"""A launch is not an attack: who sends much at once, over many prefixes, loses nobody as long as people answer as people do."""

from __future__ import annotations

import pytest
from tests.domain.delivery.launches import Judge, launch


@pytest.mark.parametrize(
    ("a_second", "seconds", "median", "deviation"),
    [
        (2, 150, 25, 0.9),
        (10, 60, 25, 0.9),
        (10, 60, 15, 0.5),
        (10, 75, 60, 1.0),
        (10, 75, 60, 0.6),
        (10, 90, 90, 0.8),
        (50, 40, 25, 0.9),
    ],
)
def test_a_launch_with_no_history_loses_none(a_second: float, seconds: float, median: float, deviation: float) -> None:
    """D11: over 30 prefixes of four countries, with 85 of 100 codes entered after seconds to some minutes."""
    judge = Judge()
    judge.judge(launch(a_second, seconds, median=median, deviation=deviation))
    assert (judge.refused[True], judge.rules) == (0, [])
    assert judge.sent[True] == round(a_second * seconds)


def test_a_launch_that_nobody_answers_is_one_no_longer() -> None:
    """D7, D11: its codes may be lost, or nobody wants them; both are found when people should have answered."""
    judge = Judge()
    judge.judge(launch(10, 60, median=10_000, deviation=0.1))
    assert judge.refused[True] > 0
    assert 200 < judge.sent[True] < 400
