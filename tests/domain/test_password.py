"""A password: how long, of what, and what it is not made of."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.password import MOST, PasswordFault, faults, normal

NAMES = ("Leaf & Kettle", "shop.example", "Ada Lovelace", "ada@example.org")


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("1234567", PasswordFault.TOO_SHORT),
        ("12345678", None),
        ("🔑" * 8, None),
        ("x" * 256, None),
        ("x" * 257, PasswordFault.TOO_LONG),
        ("Kettle2026", PasswordFault.MADE_OF_NAMES),
        ("L0vel4ce!!", PasswordFault.MADE_OF_NAMES),
        ("adalovelace1", PasswordFault.MADE_OF_NAMES),
        ("LovelaceKettle", PasswordFault.MADE_OF_NAMES),
        ("Lovelace likes strong tea", None),
        ("correct horse battery", None),
        ("        ", None),
    ],
)
def test_what_is_refused_and_what_is_not(password: str, fault: PasswordFault | None) -> None:
    """S9."""
    assert faults(password, names=NAMES) is fault


def test_a_stricter_installation_asks_for_more() -> None:
    """S9."""
    assert faults("correct horse", names=NAMES, least=15) is PasswordFault.TOO_SHORT


@given(st.text(max_size=40))
def test_the_same_letters_are_the_same_password_from_every_keyboard(text: str) -> None:
    """S9."""
    assert normal(unicodedata.normalize("NFD", text)) == normal(text)
    assert normal(normal(text)) == normal(text)


@given(st.text(min_size=8, max_size=MOST))
def test_there_is_no_rule_of_composition(password: str) -> None:
    """S9: where no name is known, length alone decides."""
    assert faults(password, names=()) is None


@given(st.text(max_size=300), st.lists(st.text(max_size=20), max_size=4))
def test_nothing_breaks_it(password: str, names: list[str]) -> None:
    assert faults(normal(password), names=names) in {None, *PasswordFault}
