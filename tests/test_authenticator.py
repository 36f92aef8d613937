"""Authenticator apps: the vectors of the RFCs, the window, and what an app reads."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.totp import DIGITS, STEP, WINDOW, address, code_at, picture, shown, step_of

RFC = b"12345678901234567890"


@pytest.mark.parametrize(
    ("count", "code"),
    list(
        enumerate(["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"])
    ),
)
def test_the_vectors_of_rfc_4226(count: int, code: str) -> None:
    """RFC 4226, appendix D."""
    assert code_at(RFC, count) == code


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1_111_111_109, "07081804"),
        (1_111_111_111, "14050471"),
        (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"),
        (20_000_000_000, "65353130"),
    ],
)
def test_the_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    """RFC 6238, appendix B, for SHA-1; ours are their last six digits."""
    assert code_at(RFC, seconds * 1_000 // STEP, 8) == code
    assert code_at(RFC, seconds * 1_000 // STEP) == code[-DIGITS:]


@given(st.binary(min_size=20, max_size=20), st.integers(min_value=10, max_value=1 << 32), st.integers(-4, 4))
def test_a_code_is_right_within_its_window_and_after_the_last(secret: bytes, step: int, away: int) -> None:
    typed = code_at(secret, step)
    found = step_of(secret, typed, (step + away) * STEP, 0)
    if abs(away) <= WINDOW:
        assert found is not None
        assert code_at(secret, found) == typed
        assert step_of(secret, typed, (step + away) * STEP, step + away + WINDOW) is None
    elif found is not None:
        assert code_at(secret, found) == typed  # two steps may have the same code by chance


def test_of_two_steps_with_one_code_the_earlier_is_used_up() -> None:
    """S7: the later step keeps its code."""
    first = 50_424_280
    typed = code_at(RFC, first)
    assert code_at(RFC, first + 1) == typed
    assert step_of(RFC, typed, first * STEP, 0) == first
    assert step_of(RFC, typed, first * STEP, first) == first + 1
    assert step_of(RFC, typed, first * STEP, first + 1) is None


@pytest.mark.parametrize("typed", ["", "1", "12345", "1234567", "abcdef", "12345\u0666"])
def test_what_is_no_code_is_none(typed: str) -> None:
    assert step_of(RFC, typed, 59_000, 0) is None


def test_an_app_reads_issuer_account_and_secret() -> None:
    """The key URI format: what people type in and what they scan are the same secret."""
    told = urlsplit(address(RFC, "Leaf & Kettle", "a***@example.org"))
    assert (told.scheme, told.netloc) == ("otpauth", "totp")
    assert unquote(told.path) == "/Leaf & Kettle:a***@example.org"
    query = parse_qs(told.query)
    assert query == {
        "secret": [shown(RFC).replace(" ", "")],
        "issuer": ["Leaf & Kettle"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }


def test_the_picture_is_drawn_here_and_holds_no_script() -> None:
    drawn = picture("otpauth://totp/x?secret=AAAA")
    assert drawn.startswith("<svg")
    # It is drawn to whatever size the page gives it, and nothing is cut off.
    assert "viewBox" in drawn
    assert " width=" not in drawn
    assert "script" not in drawn
    assert "href" not in drawn
