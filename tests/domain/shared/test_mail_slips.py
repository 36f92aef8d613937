"""Likely slips in mail addresses are suggested; an address that may be right is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.shared.contact import parse_contact
from countersign.domain.shared.mail_slips import suggest_address


@pytest.mark.parametrize(
    ("domain", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("gmal.com", "gmail.com"),
        ("gmaill.com", "gmail.com"),
        ("gnail.com", "gmail.com"),
        ("gamil.com", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("gmail.co", "gmail.com"),
        ("gmail.cm", "gmail.com"),
        ("gmial.co", "gmail.com"),
        ("hotmial.com", "hotmail.com"),
        ("hotmal.co.uk", "hotmail.co.uk"),
        ("outlok.com", "outlook.com"),
        ("yaho.com", "yahoo.com"),
        ("yahooo.fr", "yahoo.fr"),
        ("iclod.com", "icloud.com"),
        ("googelmail.com", "googlemail.com"),
        ("t-onlin.de", "t-online.de"),
        ("example.con", "example.com"),
        ("example.ogr", "example.org"),
    ],
)
def test_a_slip_is_suggested(domain: str, meant: str) -> None:
    """J3: the local part stays as it is."""
    assert suggest_address(f"Ada.L+x@{domain}") == f"Ada.L+x@{meant}"


@pytest.mark.parametrize(
    "domain",
    [
        "gmail.com", "googlemail.de", "hotmail.co.uk", "yahoo.co.jp", "yahoo.com.br", "ymail.com", "mail.com", "email.com", "gmx.de",
        "web.de", "me.com", "live.com", "aol.com", "example.org", "example.co", "leaf.cm", "outlook.sa", "proton.me", "hotmail.example",
        "müller.example", "почта.рф", "gmail",
    ],
)  # fmt: skip
def test_an_address_that_may_be_right_is_left_alone(domain: str) -> None:
    assert suggest_address(f"ada@{domain}") == ""


@given(st.text(max_size=60))
def test_any_text_has_a_suggestion_that_is_an_address_or_none(typed: str) -> None:
    meant = suggest_address(f"ada@{typed}")
    assert meant == "" or parse_contact(meant).address == meant.lower()
    assert suggest_address(typed) is not None
