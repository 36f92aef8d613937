"""Identifiers sort by their time, and are told from anything else."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clock import NOON

from countersign.domain.shared.identifier import ALPHABET, RANDOM_BYTES, is_identifier, make

times = st.integers(0, 2**48 - 1)
chances = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


def test_an_identifier_is_its_time_and_its_chance() -> None:
    assert make("ver", 0, bytes(10)) == "ver_" + "0" * 26
    assert make("ver", 1, bytes(10)) == "ver_" + "0" * 9 + "1" + "0" * 16
    assert make("ver", 0, bytes(9) + b"\x1f") == "ver_" + "0" * 25 + "z"
    assert make("ver", 2**48 - 1, b"\xff" * 10) == "ver_7" + "z" * 25


@given(times, times, chances, chances)
def test_later_identifiers_sort_after_earlier_ones(first: int, second: int, chance: bytes, other: bytes) -> None:
    earlier, later = make("ver", first, chance), make("ver", second, other)
    assert (earlier < later) == ((first, chance) < (second, other))
    assert (earlier == later) == ((first, chance) == (second, other))


@given(times, chances)
def test_an_identifier_is_known_by_its_form(now: int, chance: bytes) -> None:
    made = make("ver", now, chance)
    assert is_identifier("ver", made)
    assert not is_identifier("app", made)
    assert not is_identifier("ver", made + "0")
    assert not is_identifier("ver", made[:-1])


@pytest.mark.parametrize(
    "text", ["", "ver_", "ver_" + "0" * 25 + "I", "VER_" + "0" * 26, "ver_" + "0" * 25 + "\n", "ver-" + "0" * 26]
)
def test_what_has_another_form_is_none(text: str) -> None:
    assert not is_identifier("ver", text)


def test_a_hundred_thousand_of_one_millisecond_are_all_different() -> None:
    assert len({make("ver", NOON, secrets.token_bytes(RANDOM_BYTES)) for _ in range(100_000)}) == 100_000


def test_no_symbol_is_taken_for_another() -> None:
    assert len(ALPHABET) == 32
    assert not set("ilou") & set(ALPHABET)
    assert list(ALPHABET) == sorted(ALPHABET)
