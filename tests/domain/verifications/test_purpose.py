"""Purposes: the bounds of a policy, and the names that a purpose may have."""

from __future__ import annotations

import pytest

from countersign.domain.verifications.code import Alphabet, CodeShape
from countersign.domain.verifications.purpose import DEFAULT_POLICIES, Policy, ResendMode, is_purpose


def test_the_policies_we_ship_have_no_faults() -> None:
    """C1, C2, C5: six digits, ten minutes, five guesses."""
    for policy in DEFAULT_POLICIES.values():
        assert policy.faults() == []
        assert (policy.shape, policy.lifetime, policy.guesses) == (CodeShape(6), 600, 5)
    assert [name for name, policy in DEFAULT_POLICIES.items() if policy.binds] == ["bind_contact"]


@pytest.mark.parametrize(
    ("policy", "setting"),
    [
        (Policy(CodeShape(3)), "code_length"),
        (Policy(CodeShape(11)), "code_length"),
        (Policy(lifetime=601), "lifetime"),
        (Policy(lifetime=29), "lifetime"),
        (Policy(guesses=0), "guesses"),
        (Policy(guesses=11), "guesses"),
        (Policy(sends=0), "sends"),
        (Policy(sends=11), "sends"),
        (Policy(resend_after=0), "resend_after"),
    ],
)
def test_a_setting_out_of_bounds_is_named(policy: Policy, setting: str) -> None:
    """C2: among them a life of more than ten minutes."""
    assert [fault.partition(":")[0] for fault in policy.faults()] == [setting]


def test_four_digits_allow_ten_guesses_and_no_better_odds_than_one_in_a_thousand() -> None:
    assert Policy(CodeShape(4), guesses=10).faults() == []
    assert Policy(CodeShape(4, Alphabet.ALPHANUMERIC), guesses=10).faults() == []


def test_where_two_codes_are_right_half_as_many_guesses_are_allowed() -> None:
    """C1: with `overlap` an answer is compared with two."""
    (fault,) = Policy(CodeShape(4), guesses=6, resend=ResendMode.OVERLAP).faults()
    assert fault.startswith("guesses: ")
    assert Policy(CodeShape(4), guesses=5, resend=ResendMode.OVERLAP).faults() == []


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("sign_in", True),
        ("a1", True),
        ("", False),
        ("Sign", False),
        ("a b", False),
        ("1a", False),
        ("a" * 41, False),
        ("a\n", False),
    ],
)
def test_a_purpose_is_one_lower_case_word(name: str, *, known: bool) -> None:
    assert is_purpose(name) is known
