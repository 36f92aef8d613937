"""SMS segments: alphabets and capacities as in 3GPP TS 23.038 and 23.040."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.delivery.sms_segments import (
    GSM_7,
    GSM_7_EXTENSION,
    encode_gsm_7,
    encode_ucs_2,
    is_gsm_7,
    split_segments,
)


@pytest.mark.parametrize(
    ("text", "gsm_7", "parts"),
    [
        ("a" * 160, True, [160]),
        ("a" * 161, True, [153, 8]),
        ("€" * 80, True, [80]),
        ("€" * 81, True, [76, 5]),
        ("д" * 70, False, [70]),
        ("д" * 71, False, [67, 4]),
        ("😀" * 36, False, [33, 3]),
        ("", True, [0]),
    ],
)
def test_segments_hold_what_the_standard_says(text: str, parts: list[int], *, gsm_7: bool) -> None:
    """D3."""
    found = split_segments(text)
    assert (found.gsm_7, [len(part) for part in found.parts]) == (gsm_7, parts)


@given(st.text(max_size=400))
def test_parts_joined_are_the_text_and_none_is_too_long(text: str) -> None:
    """D3."""
    found = split_segments(text)
    assert "".join(found.parts) == text
    encode, joined = (encode_gsm_7, 153) if found.gsm_7 else (encode_ucs_2, 134)
    if len(found.parts) > 1:
        assert all(len(encode(part)) <= joined for part in found.parts)


def test_every_character_of_the_alphabet_has_septets() -> None:
    assert is_gsm_7(GSM_7 + GSM_7_EXTENSION)
    assert all(len(encode_gsm_7(character)) == 1 for character in GSM_7)
    assert all(encode_gsm_7(character)[:1] == b"\x1b" for character in GSM_7_EXTENSION)
    assert not is_gsm_7("д")


def test_a_text_shows_a_log_its_alphabet_and_its_parts_only() -> None:
    """C8."""
    assert "918273" not in repr(split_segments("918273 is your code"))
