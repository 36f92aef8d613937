"""The test of conversions: what may still be answered speaks only as far as it had the time."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.delivery.answer_time import STEP, USUAL
from countersign.domain.delivery.conversion_odds import OpenSlot, log_odds

open_slots = st.lists(
    st.builds(
        lambda at, sent, part, converted: (at, sent, round(sent * converted), part),
        st.integers(0, 90),
        st.integers(0, 60),
        st.floats(0, 1),
        st.floats(0, 1),
    ),
    max_size=6,
).map(sorted)


def test_what_was_sent_a_moment_ago_says_nothing() -> None:
    """D11."""
    assert log_odds(0, 0, 0.4, [(0, 3_000, 0, 0.0)]) == 0


def test_what_had_all_its_time_says_as_much_as_what_is_over() -> None:
    """D11."""
    assert math.isclose(log_odds(0, 0, 0.4, [(0, 30, 7, 1.0)]), log_odds(7, 30, 0.4))


def test_a_code_that_is_counted_before_its_message_answers_it() -> None:
    """D11: a message counts when it is sent, its code when it was asked for; and half an attack is one, too."""
    apart = log_odds(0, 0, 0.4, [(0, 10, 11, 1.0), (STEP, 10, 0, 1.0)])
    assert math.isclose(apart, log_odds(0, 0, 0.4, [(0, 10, 10, 1.0), (STEP, 10, 1, 1.0)]))
    tenth, half = (11 * math.log(q) + 9 * math.log((1 - q * 0.4) / 0.6) for q in (0.1, 0.5))
    assert math.isclose(apart, math.log((math.exp(tenth) + math.exp(half)) / 2))


@given(open_slots, st.floats(0.25, 0.9), st.data())
def test_an_answer_more_never_speaks_for_pumping(slots: list[OpenSlot], expected: float, data: st.DataObject) -> None:
    """D11: wherever it is counted, beside its message or in the slot before."""
    if slots:
        n = data.draw(st.integers(0, len(slots) - 1))
        at, sent, converted, part = slots[n]
        more = [*slots[:n], (at, sent, converted + 1, part), *slots[n + 1 :]]
        assert log_odds(0, 0, expected, more) <= log_odds(0, 0, expected, slots) + 1e-9


def test_honest_people_who_are_still_typing_are_held_no_more_often_than_was_said() -> None:
    """D11: judged each five seconds, with answers as rare as may be expected, and as late as assumed (of 3,000 paths, 3.8 % were held)."""
    chance, expected, error, paths = random.Random(16), 0.4, 0.05, 150
    held = 0
    for _ in range(paths):
        counted = [[step, 0, 0] for step in range(60)]
        coming: list[tuple[int, int]] = []
        for step in range(60):
            counted[step][1] = 3
            for _ in range(3):
                if chance.random() < expected:
                    late = chance.random()
                    takes = next((n for n, part in enumerate(USUAL.parts) if part >= late), 10**6)
                    coming.append((step + takes, step))
            for _, began in (one for one in coming if one[0] == step):
                counted[began][2] += 1
            slots = [(at, sent, back, USUAL.parts[step - at]) for at, sent, back in counted[: step + 1]]
            if log_odds(0, 0, expected, slots) >= -math.log(error):
                held += 1
                break
    assert STEP == 5_000
    assert held <= paths * error + 3 * math.sqrt(paths * error * (1 - error)), "within three deviations of the figure"
