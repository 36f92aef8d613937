"""Names of every script are names; what would break a line is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.accounts.account import is_name
from countersign.domain.shared.typed_name import read_label, read_name


@pytest.mark.parametrize(
    "name",
    [
        "علی‌رضا احمدی",
        "ශ්‍රී ලංකා",
        "क्‍षमा",
        "José María Ñuñez",
        "Nguyễn Thị Ánh",
        "山田太郎",
        "渡邉\U000e0101",
        "Ó Briain",
        "O'Connor-Smith",
        "Владимир Ильич",
        "ⴰⵎⵖⴰⵔ",
        "יוֹסֵף",
        "สมชาย",
        "X Æ A-12",
        "Ada 👩‍💻",
    ],
)
def test_names_that_people_bear_stay_as_they_are(name: str) -> None:
    """J3: with the joiners that their spelling needs."""
    assert is_name(name)
    assert read_name(name, 80) == name


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("  Ada  ", "Ada"),
        ("山田\u3000太郎", "山田 太郎"),
        ("Ada\u00a0Lovelace", "Ada Lovelace"),
        ("\u202aAda\u202c", "Ada"),
        ("\u2068علی\u2069", "علی"),
        ("Ada\u200b\ufeff", "Ada"),
        ("Jose\u0301", "José"),
        ("A\u200dda", "Ada"),
        ("علی\u200c", "علی"),
        ("Ada\u202egro.live", "Adagro.live"),
    ],
)
def test_what_came_along_is_left_out(typed: str, name: str) -> None:
    assert read_name(typed, 80) == name


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "\u200b",
        "\u200d\u200c",
        "\u202a\u202c",
        "Ada\r\nBcc: eve@example.org",
        "a\x00",
        "\u2028",
        "a" * 81,
        "a\ud800",
    ],
)
def test_what_is_no_name_is_refused(typed: str) -> None:
    """D5: and no line end ever gets into one."""
    assert not is_name(typed)
    assert read_name(typed, 80) == ""


@given(st.text(max_size=100))
def test_a_name_has_one_form_and_one_line(typed: str) -> None:
    name = read_name(typed, 80)
    assert read_name(name, 80) == name
    assert len(name.splitlines()) <= 1
    assert len(name) <= 80


def test_the_name_of_a_thing_is_made_of_what_can_be_in_one() -> None:
    assert read_label("  Book\x00keeping\n ", 60) == "Bookkeeping"
    assert read_label("گوشی\u200cمن", 60) == "گوشی\u200cمن"
    assert read_label("x" * 100, 60) == "x" * 60
    assert read_label("\u200b\n", 60) == ""
