"""Codes: derived without bias, tidied as people type, compared in a time that tells nothing."""

from __future__ import annotations

import gc
import hashlib
import hmac
import random
import statistics
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.verifications.code import (
    DIGITS,
    MAX_LENGTH,
    MIN_LENGTH,
    UNAMBIGUOUS,
    Alphabet,
    Code,
    CodeShape,
    derive,
    encode_number,
    read,
    sample,
)

KEY = bytes(range(32))
SIX = CodeShape()
LETTERS = CodeShape(8, Alphabet.ALPHANUMERIC)
EACH_SHAPE = [CodeShape(length, alphabet) for alphabet in Alphabet for length in range(MIN_LENGTH, MAX_LENGTH + 1)]

shapes = st.sampled_from(EACH_SHAPE)


def wide(text: str) -> str:
    """Return ASCII as an East Asian keyboard may write it."""
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


def written_independently(key: bytes, challenge_id: str, round_: int, shape: CodeShape) -> str:
    """Derive a code as the documentation says, with nothing of ours."""
    symbols = "0123456789" if shape.alphabet is Alphabet.DIGITS else "2346789BCDFGHJKMPQRTVWXY"
    space = len(symbols) ** shape.length
    block = 0
    while True:
        message = f"{challenge_id}:{round_}:{block}".encode()
        digest = hmac.new(key, message, hashlib.sha256).digest()
        for start in (0, 8, 16, 24):
            word = int.from_bytes(digest[start : start + 8], "big")
            if word < 2**64 - 2**64 % space:
                number, code = word % space, ""
                for _ in range(shape.length):
                    code = symbols[number % len(symbols)] + code
                    number //= len(symbols)
                return code
        block += 1


@pytest.mark.parametrize("shape", EACH_SHAPE, ids=lambda shape: f"{shape.alphabet.value}-{shape.length}")
def test_each_shape_is_derived_as_the_documentation_says(shape: CodeShape) -> None:
    for number in range(50):
        challenge_id = f"ver_{number}"
        code = derive(KEY, challenge_id, number % 3, shape).reveal()
        assert code == written_independently(KEY, challenge_id, number % 3, shape)
        assert len(code) == shape.length
        assert set(code) <= set(shape.alphabet.symbols)


@pytest.mark.parametrize(
    ("challenge_id", "round_", "shape", "code"),
    [
        ("ver_a", 0, SIX, "034458"),
        ("ver_a", 1, SIX, "152187"),
        ("ver_a", 0, CodeShape(4), "4458"),
        ("ver_a", 0, CodeShape(10), "6579034458"),
        ("ver_a", 0, LETTERS, "VQVFQMQ4"),
    ],
)
def test_codes_under_way_survive_an_upgrade(challenge_id: str, round_: int, shape: CodeShape, code: str) -> None:
    assert derive(KEY, challenge_id, round_, shape).reveal() == code


def test_another_key_challenge_or_round_gives_another_code() -> None:
    """C4: a code is its challenge's."""
    ten = CodeShape(10)
    codes = {
        derive(KEY, "ver_a", 0, ten).reveal(),
        derive(KEY[::-1], "ver_a", 0, ten).reveal(),
        derive(KEY, "ver_b", 0, ten).reveal(),
        derive(KEY, "ver_a", 1, ten).reveal(),
        derive(KEY, "ver_a:1", 0, ten).reveal(),
    }
    assert len(codes) == 5


def chi_square(counts: Counter[str], cells: int) -> float:
    expected = counts.total() / cells
    seen = sum((count - expected) ** 2 / expected for count in counts.values())
    return seen + (cells - len(counts)) * expected


def test_every_code_is_equally_likely() -> None:
    """C1: chi-square over 20,000 challenges; 0.999999 quantiles, and the ids are fixed, so it never fails by chance."""
    codes = [derive(KEY, f"ver_{number}", 0, SIX).reveal() for number in range(20_000)]
    assert chi_square(Counter(code[:2] for code in codes), 100) < 181
    for place in range(6):
        assert chi_square(Counter(code[place] for code in codes), 10) < 45
    letters = [derive(KEY, f"ver_{number}", 0, LETTERS).reveal() for number in range(20_000)]
    for place in range(8):
        assert chi_square(Counter(code[place] for code in letters), 24) < 71


def test_leading_zeros_are_kept() -> None:
    """C1: 000042 is a code like any other."""
    assert encode_number(42, SIX) == "000042"
    assert encode_number(0, CodeShape(4)) == "0000"
    assert encode_number(0, LETTERS) == "22222222"
    codes = [derive(KEY, f"ver_{number}", 0, SIX).reveal() for number in range(2_000)]
    assert any(code.startswith("00") for code in codes)
    assert {len(code) for code in codes} == {6}


@given(shapes, st.data())
def test_each_number_is_written_in_one_way(shape: CodeShape, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, shape.space - 1))
    symbols = shape.alphabet.symbols
    read = 0
    for symbol in encode_number(number, shape):
        read = read * len(symbols) + symbols.index(symbol)
    assert read == number


def test_words_that_would_favour_small_codes_are_passed_over() -> None:
    """C1: 2^64 is no multiple of a million; what is above the last multiple is drawn again."""
    limit = 2**64 - 2**64 % 1_000_000
    assert limit == 18_446_744_073_709_000_000
    assert sample(iter([2**64 - 1, limit, 7]), 1_000_000) == 7
    assert sample(iter([limit - 1, 7]), 1_000_000) == 999_999
    assert sample(iter([0]), 1_000_000) == 0
    assert sample(iter([2**64 - 1]), 2**4) == 15, "a power of two leaves nothing over"


@given(st.integers(2, 24**10), st.lists(st.integers(0, 2**64 - 1), max_size=5))
def test_what_is_picked_lies_within_the_space(space: int, words: list[int]) -> None:
    assert 0 <= sample(iter([*words, 0]), space) < space


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("123456", "123456"),
        ("123 456", "123456"),
        (" 12-34-56\n", "123456"),
        ("123\u00a0456", "123456"),
        ("123\u2009456", "123456"),
        ("12\u201334\u201456", "123456"),
        ("123\u2212456", "123456"),
        (wide("123456"), "123456"),
        (wide("123") + "\u3000\uff0d" + wide("456"), "123456"),
        ("OoIilL", "001111"),
        (wide("O") + "12345", "012345"),
        ("", None),
        ("12345", None),
        ("1234567", None),
        ("123.456", None),
        ("+123456", "123456"),
        ("S23456", None),
        ("B23456", None),
        ("\u0661\u0662\u0663456", "123456"),
        ("²23456", "223456"),
        ("①23456", "123456"),
        ("\u041e12345", None),
        ("123456\0", "123456"),
        ("\ud800", None),
    ],
)
def test_what_people_type_is_read_and_what_cannot_be_a_code_is_none(typed: str, meant: str | None) -> None:
    """C9: spaces, dashes, digits of any script, look-alikes; what has another length or alphabet is no code."""
    assert read(typed, SIX) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("bcdf 2346", "BCDF2346"),
        ("bCdF-2346", "BCDF2346"),
        (wide("bcdf2346"), "BCDF2346"),
        ("OBCDFGHJ", None),
        ("0BCDFGHJ", None),
        ("lBCDFGHJ", None),
        ("1BCDFGHJ", None),
        ("ßBCDFGH", None),
        ("ﬁBCDFGH", None),
        ("\u0131BCDFGHJ", None),
    ],
)
def test_letters_are_read_only_where_the_alphabet_leaves_no_doubt(typed: str, meant: str | None) -> None:
    """C9: an alphabet with neither O nor 0 has nothing to map, and no foreign letter becomes one of ours."""
    assert read(typed, LETTERS) == meant


def test_alphabets_have_no_two_symbols_that_a_person_takes_for_each_other() -> None:
    for pair in ("0O", "1I", "1L", "5S", "2Z"):
        assert not set(pair) <= set(UNAMBIGUOUS), pair
    assert not set("AEIOU") & set(UNAMBIGUOUS), "no vowels, no words"
    assert len(set(UNAMBIGUOUS)) == len(UNAMBIGUOUS)
    assert len(DIGITS) == 10


@given(shapes, st.integers(0, 10**6), st.lists(st.sampled_from(" -\u2013\u00a0\t"), max_size=20), st.randoms())
def test_a_right_code_stays_right_however_it_is_spaced(
    shape: CodeShape, number: int, spaces: list[str], chance: random.Random
) -> None:
    """C9: whatever a message client or a person puts between."""
    code = derive(KEY, f"ver_{number}", 0, shape)
    typed = list(code.reveal().lower())
    for space in spaces:
        typed.insert(chance.randrange(len(typed) + 1), space)
    meant = read("".join(typed), shape)
    assert meant is not None
    assert code.matches(meant)


@given(st.text(max_size=40), shapes)
def test_what_is_read_is_a_code_of_that_shape_and_reads_as_itself(typed: str, shape: CodeShape) -> None:
    meant = read(typed, shape)
    if meant is not None:
        assert len(meant) == shape.length
        assert set(meant) <= set(shape.alphabet.symbols)
        assert read(meant, shape) == meant


@given(st.text(max_size=12))
def test_only_the_code_itself_matches(typed: str) -> None:
    assert Code("123456").matches(typed) is (typed == "123456")


def test_a_code_shows_itself_to_nobody_who_does_not_ask() -> None:
    """C8: neither repr, str, format nor an error holds it."""
    code = Code("918273")
    shown = [repr(code), str(code), f"{code}", f"{code!r}", repr([code]), repr({"code": code})]
    assert not any("918273" in text for text in shown)
    assert not hasattr(code, "__dict__")
    with pytest.raises(AttributeError) as caught:
        code.value  # type: ignore[attr-defined]  # noqa: B018 - the error is what is looked at
    assert "918273" not in str(caught.value)


def fastest(code: Code, typed: str, rounds: int) -> float:
    began = time.perf_counter_ns()
    for _ in range(rounds):
        code.matches(typed)
    return (time.perf_counter_ns() - began) / rounds


def test_comparison_takes_the_same_time_wherever_the_first_difference_lies() -> None:
    """C10: against the noise of the same comparison against itself, interleaved, on a machine that may be busy."""
    code = Code("1" * 512)  # long, so that a comparison that stops early would show
    early, late, again = "2" + "1" * 511, "1" * 511 + "2", "1" * 511 + "3"
    samples: dict[str, list[float]] = {early: [], late: [], again: []}
    order = list(samples)
    chance = random.Random(7)
    gc.disable()
    try:
        for _ in range(400):
            chance.shuffle(order)
            for typed in order:
                samples[typed].append(fastest(code, typed, 20))
    finally:
        gc.enable()
    # The low decile hardly feels what else the machine does.
    low = {typed: statistics.quantiles(times, n=10)[0] for typed, times in samples.items()}
    noise = abs(low[late] - low[again])
    assert abs(low[early] - low[late]) <= max(3 * noise, 0.04 * low[late])


def test_the_measure_of_comparison_would_notice_one_that_stops_early() -> None:
    """C10: the control of the test above - bytes that are compared one by one until they differ."""

    class Leaky(Code):
        def matches(self, typed: str) -> bool:
            return all(mine == theirs for mine, theirs in zip(self._value, typed, strict=True))

    code = Leaky("1" * 512)
    early = min(fastest(code, "2" + "1" * 511, 20) for _ in range(20))
    late = min(fastest(code, "1" * 511 + "2", 20) for _ in range(20))
    assert late > early * 1.5
