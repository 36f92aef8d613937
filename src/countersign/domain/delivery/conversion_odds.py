"""Conversion odds: a sequential test of whether the codes of a destination are entered as often as is expected of an honest one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

TENTH: Final = 0.1
HALF: Final = 0.5
"""The parts of the expected conversion that an attack is taken to have: one who answers nothing, and one who answers some."""


OpenSlot: TypeAlias = tuple[int, int, int, float]
"""A slot whose messages may still be answered: when it began (ms), its messages, its conversions, and the part of answers that had the
time to come."""


def log_odds(converted: int, sent: int, expected: float, recent: Sequence[OpenSlot] = ()) -> float:
    """Return the log odds that `converted` of `sent` codes come from pumping, not from a destination with conversion `expected`.

    It is a mixture of two likelihood ratios, against a tenth and a half of `expected`. `recent` are further messages, the oldest first,
    that may still be answered. Each counts as far as people had the time to answer it: it is censored, as in the analysis of survival. For
    a destination whose codes are entered with probability `expected` or more, and as fast as was assumed, the exponential is a
    supermartingale of mean 1. The probability that it ever reaches 1/p, however often it is looked at, is at most p (Ville 1939;
    docs/decisions/0054).
    """
    answers, missed = converted, sent - converted
    tenth, half = (missed * _unanswered(expected, part) for part in (TENTH, HALF))
    # A message is counted when it is sent, and its code when it was asked for: perhaps in the slot before.
    carried = min(missed, 0)
    for _, sent_then, converted_then, part in recent:
        answers += converted_then
        missed = sent_then - converted_then + carried
        carried = min(missed, 0)
        if missed > 0 and part:
            tenth += missed * _unanswered(expected * part, TENTH)
            half += missed * _unanswered(expected * part, HALF)
    tenth += answers * math.log(TENTH)
    half += answers * math.log(HALF)
    most = max(tenth, half)
    return most + math.log((math.exp(tenth - most) + math.exp(half - most)) / 2)


def _unanswered(expected: float, part: float) -> float:
    """Return what a message says that was not answered, where its answer was expected with this probability."""
    return math.log((1 - part * expected) / (1 - expected))
