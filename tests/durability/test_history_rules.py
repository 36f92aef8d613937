"""The checker of histories bites: a sound history has no violation, and each wrong one the violation that it was made for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.durability.history_rules import History, Stored, Told, violations

ID = "ver_1"


def told(kind: Any, at: float, status: int = 200, **rest: Any) -> Told:
    return Told(kind=kind, began=at, ended=at + 0.5, status=status, challenge=rest.pop("challenge", ID), **rest)


def begun(at: float = 0, **rest: Any) -> Told:
    return told("begin", at, 201, **{"state": "pending", "guesses_left": 5, "sends_left": 4, **rest})


def wrong(at: float, left: int, **rest: Any) -> Told:
    return told("wrong", at, compared=True, state="pending", guesses_left=left, **rest)


def right(at: float, left: int, **rest: Any) -> Told:
    return told("right", at, compared=True, state="approved", guesses_left=left, **rest)


STORED = Stored(
    state="approved", guesses=3, sends=1, compared_events=3, approved_events=1, sent=True, to="a@example.org"
)
SOUND = [
    begun(key="k"),
    begun(1, key="k"),
    wrong(2, 4),
    wrong(3, 3),
    told("read", 4, state="pending", guesses_left=3),
    right(5, 2),
]


def stored(**changed: Any) -> dict[str, Stored]:
    return {ID: msgspec.structs.replace(STORED, **changed)}


def test_a_sound_history_has_no_violation() -> None:
    """C3, C5: with a lost answer, an unknown one, a repeated request and a 503 that means what it says."""
    history = History([*SOUND, told("right", 6, 409, state="approved")], stored())
    assert violations(history) == []
    lost = [begun(), told("wrong", 1, 0), told("wrong", 2, 503, unknown=True), told("wrong", 3, 503), wrong(4, 2)]
    kept = stored(state="pending", guesses=3, approved_events=0)
    assert violations(History(lost, kept)) == []
    assert violations(History([told("begin", 0, 503, challenge="")], {})) == []
    twice = [begun(), right(1, 4, key="k"), right(2, 4, key="k")]
    assert violations(History(twice, stored(guesses=1, compared_events=1))) == []


@pytest.mark.parametrize(
    ("rule", "history"),
    [
        ("the log is sound", History(SOUND, stored(), ["page 3 is missing"])),
        ("one idempotency key, one challenge", History([begun(key="k"), begun(1, key="k", challenge="ver_2")], {**stored(state="pending", guesses=0, compared_events=0, approved_events=0), "ver_2": msgspec.structs.replace(STORED, state="pending", guesses=0, compared_events=0, approved_events=0)})),
        ("nothing acknowledged is lost", History(SOUND, {})),
        ("nothing acknowledged is lost", History([begun(), told("cancel", 1, state="canceled")], stored(state="pending", guesses=0, compared_events=0, approved_events=0))),
        ("each promised message arrives", History([begun()], stored(state="pending", guesses=0, compared_events=0, approved_events=0, sent=False))),
        ("one approval a challenge", History([*SOUND, right(7, 1)], stored(guesses=4, compared_events=4))),
        ("one approval a challenge", History(SOUND, stored(approved_events=2))),
        ("five comparisons at most", History([begun(), *(told("wrong", n, 0) for n in range(1, 9))], stored(state="exhausted", guesses=6, compared_events=6, approved_events=0))),
        ("each count of guesses is used once", History([begun(), wrong(1, 4), wrong(1.1, 4)], stored(state="pending", guesses=2, compared_events=2, approved_events=0))),
        ("no guess is given back", History([begun(), wrong(1, 4), wrong(2, 3)], stored(state="pending", guesses=1, compared_events=1, approved_events=0))),
        ("what was not done is not done", History([begun(), told("wrong", 1, 503)], stored(state="pending", guesses=1, compared_events=1, approved_events=0))),
        ("the log has every guess", History(SOUND, stored(compared_events=2))),
        ("an end is final", History([*SOUND, told("cancel", 7, state="canceled")], stored())),
        ("nothing goes back in real time", History([*SOUND[:4], told("read", 4, state="pending", guesses_left=4), right(5, 2)], stored())),
        ("nothing goes back in real time", History([begun(), told("resend", 1, sends_left=3), told("read", 2, sends_left=4)], stored(state="pending", guesses=0, compared_events=0, approved_events=0))),
        ("a contact is paused after 20 wrong codes a day", History([], {f"ver_{n}": msgspec.structs.replace(STORED, state="exhausted", guesses=5, compared_events=5, approved_events=0) for n in range(5)})),
    ],
)  # fmt: skip
def test_each_rule_bites(rule: str, history: History) -> None:
    """C3, C5: a fault in the history is found, and named."""
    assert rule in {one.rule for one in violations(history)}
