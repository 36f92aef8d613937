"""Passwords: long enough, not too long, not made of names, and otherwise whatever a person likes."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.accounts.password import (
    MAX_LENGTH,
    MIN_LENGTH,
    PasswordFault,
    normalize_password,
    password_fault,
)

ADA = ("Countersign", "verify.example", "Ada Lovelace", "ada.lovelace@example.org")


def fault(password: str, least: int = MIN_LENGTH) -> PasswordFault | None:
    """Judge a password that Ada chose, as the flows do."""
    return password_fault(normalize_password(password), context_words=ADA, min_length=least)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, PasswordFault.TOO_SHORT),
        (7, PasswordFault.TOO_SHORT),
        (8, None),
        (256, None),
        (257, PasswordFault.TOO_LONG),
    ],
)
@pytest.mark.parametrize("sign", ["q", "é", "字", "🦉", "\0", " ", "\ud800"], ids=ascii)
def test_eight_to_256_code_points_are_taken_whatever_they_are(
    sign: str, length: int, expected: PasswordFault | None
) -> None:
    """S9: a code point counts as one, though it may take four bytes or be half of a pair."""
    assert fault(sign * length) is expected


def test_a_stricter_site_asks_for_more() -> None:
    """S9: NIST's 15 where a password stands alone."""
    assert fault("q" * 14, least=15) is PasswordFault.TOO_SHORT
    assert fault("q" * 15, least=15) is None


@pytest.mark.parametrize(
    "password",
    ["zzyqkvbw", "ZZYQKVBW", "48151623", "correct horse battery staple", "\t\n \t\n \t\n", "!§$%&/()", "пароль не имя"],
)
def test_no_rule_of_composition_is_kept(password: str) -> None:
    """S9: letters alone, digits alone, marks alone, and spaces."""
    assert fault(password) is None


@pytest.mark.parametrize(
    "password",
    [
        "countersign",
        "countersign2026",
        "COUNTERSIGN!",
        "C0unter$ign2026",
        "counter5ignAda",
        "Ada-Lovelace1",
        "Ada-Love1ace!",
        "4d4_L0v3!4c3",
        "lovelace.ada@1815",
        "LovelaceLovelace",
        "adaadaada",
        "verify.example.org",
        "verifyexample1",
        "L0vel4ce!!",
        "Lovel4ceVerify",
    ],
)
def test_a_password_made_of_names_is_refused(password: str) -> None:
    """S9: with the usual signs for letters, in any order, and with what is usually put between and behind."""
    assert fault(password) is PasswordFault.MADE_OF_NAMES


@pytest.mark.parametrize(
    "password",
    [
        "canada-dry-xyz",
        "ada likes engines",
        "countersign-marmot",
        "lovelace and babbage",
        "adamantine",
        "forexample9wq",
    ],
)
def test_a_name_within_a_longer_password_does_no_harm(password: str) -> None:
    """S9: what is left beside the name is still to be guessed."""
    assert fault(password) is None


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("李明", "李明李明李明李明"),
        ("प्रिया शर्मा", "प्रियाशर्मा12"),
        ("Zoë Straße", "ZOËSTRASSE"),
        ("أمينة", "أمينةأمينة1"),
        ("Żaneta", "żaneta-2026"),
    ],
)
def test_names_are_found_in_every_script(name: str, password: str) -> None:
    """S9: marks belong to their letters, and case is folded as Unicode says."""
    assert (
        password_fault(normalize_password(password), context_words=[name], min_length=MIN_LENGTH)
        is PasswordFault.MADE_OF_NAMES
    )


@pytest.mark.parametrize("names", [(), ("",), ("A", "Å.", "7", "...", "\0", "\ud800")])
def test_names_of_no_letters_or_of_one_forbid_nothing(names: tuple[str, ...]) -> None:
    assert password_fault("A7.a7.A7.a7.", context_words=names) is None


def test_a_name_is_taken_as_it_is_written_and_not_as_a_pattern() -> None:
    assert password_fault("abcdefgh", context_words=[".*", "[a-z]+", "(a+)+$"]) is None


def test_a_password_is_the_same_from_every_keyboard() -> None:
    """S9: a letter with its accent beside it and one that bears it are the same password; nothing is trimmed or folded."""
    assert normalize_password("cafe\u0301 creme") == normalize_password("caf\u00e9 creme") == "caf\u00e9 creme"
    assert normalize_password("  Space\t") == "  Space\t"
    assert normalize_password("\ufb01ve") == "\ufb01ve", "compatibility forms stay apart"


@given(st.text(max_size=300))
def test_the_normal_form_is_nfc_and_stays(password: str) -> None:
    """S9: from a keyboard that sends accents apart as well."""
    once = normalize_password(password)
    assert unicodedata.is_normalized("NFC", once)
    assert normalize_password(once) == once
    assert normalize_password(unicodedata.normalize("NFD", password)) == once


@given(st.text(min_size=8, max_size=MAX_LENGTH))
def test_where_no_name_is_known_length_alone_decides(password: str) -> None:
    """S9: there is no rule of composition."""
    assert password_fault(password, context_words=()) is None


@given(st.text(st.characters(), max_size=300), st.lists(st.text(st.characters(), max_size=40), max_size=5))
def test_every_text_is_judged_by_its_length_first(password: str, names: list[str]) -> None:
    """S9: no text of any kind is too strange to be judged, lone surrogates and NUL included."""
    found = password_fault(password, context_words=names)
    assert (found is PasswordFault.TOO_SHORT) is (len(password) < MIN_LENGTH)
    assert (found is PasswordFault.TOO_LONG) is (len(password) > MAX_LENGTH)
    assert found in {None, PasswordFault.TOO_SHORT, PasswordFault.TOO_LONG, PasswordFault.MADE_OF_NAMES}


@given(
    st.permutations(["Ada", "lovelace", "COUNTERSIGN"]),
    st.sampled_from(["", " ", "-", "_", "."]),
    st.integers(0, 9999),
    st.booleans(),
)
def test_names_in_any_order_with_up_to_four_digits_are_refused(
    order: list[str],
    between: str,
    number: int,
    disguised: bool,  # noqa: FBT001 - drawn by chance
) -> None:
    """S9: however they are joined."""
    joined = between.join(order)
    typed = joined.translate(str.maketrans("oOaAsSlL", "004455!!")) if disguised else joined
    assert fault(f"{typed}{number}") is PasswordFault.MADE_OF_NAMES


@given(st.text("bcdfghjkmpqrtwxz269#%", min_size=8, max_size=64))
def test_what_shares_no_word_with_a_name_is_not_made_of_it(password: str) -> None:
    """S9: no two letters of it are a name of Ada's, in either reading."""
    assert fault(password) is None
