"""Whether an address is ours: by literals for each trick, and by properties for everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.accounts.phishing_check import (
    MAX_ADDRESSES,
    MAX_CHARACTERS,
    CheckedAddress,
    LookalikeTrick,
    OwnAddresses,
    PhishingVerdict,
    check_text,
)

OURS = OwnAddresses(("verify.example.org", "shop.example.org"), ("no-reply@example.org",))


def one(text: str, ours: OwnAddresses = OURS) -> CheckedAddress:
    (found,) = check_text(text, ours)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "https://verify.example.org/not-me?ref=x",
        "HTTPS://VERIFY.EXAMPLE.ORG",
        "Look at verify.example.org, please.",
        "(https://shop.example.org:443/)",
        "No-Reply@example.org",
        "verify.example.org.",
    ],
)
def test_ours_are_ours(text: str) -> None:
    assert one(text).verdict is PhishingVerdict.OURS


@pytest.mark.parametrize(
    ("text", "trick"),
    [
        ("https://v\u0435rify.example.org", LookalikeTrick.LETTERS),
        ("https://xn--vrify-4ve.example.org", LookalikeTrick.LETTERS),
        ("https://verify.exarnple.org", LookalikeTrick.LETTERS),
        ("https://verify.examp1e.org", LookalikeTrick.LETTERS),
        ("https://verify.ex\u00e4mple.org", LookalikeTrick.LETTERS),
        ("https://verify.example.org.evil.example", LookalikeTrick.INSIDE),
        ("https://example-secure.com/login", LookalikeTrick.INSIDE),
        ("https://mail.example.org", LookalikeTrick.INSIDE),
        ("https://verify.example.org@evil.net", LookalikeTrick.BEFORE_THE_AT),
        ("https://verify.example.org:pass@evil.net/", LookalikeTrick.BEFORE_THE_AT),
        ("http://verify.example.org", LookalikeTrick.UNENCRYPTED),
        ("https://verify.exmaple.org", LookalikeTrick.NEARLY),
        ("https://verfy.exampel.org", None),
        ("no-reply@examp1e.org", LookalikeTrick.LETTERS),
    ],
)
def test_what_tries_to_look_like_it_is_named(text: str, trick: LookalikeTrick | None) -> None:
    """M14: the domain that really decides is shown in letters, not in punycode."""
    found = one(text)
    assert found.verdict is not PhishingVerdict.OURS
    assert found.trick in {trick, LookalikeTrick.INSIDE} if trick is LookalikeTrick.LETTERS else found.trick is trick
    assert "xn--" not in found.compared


@pytest.mark.parametrize("text", ["https://news.test/", "someone@mail.test", "ftp://files.test/x", "https://[::1"])
def test_the_rest_is_somebody_elses(text: str) -> None:
    assert one(text).verdict is PhishingVerdict.FOREIGN


def test_an_unknown_sender_of_our_domain_is_not_ours() -> None:
    found = one("support@example.org")
    assert (found.verdict, found.trick) == (PhishingVerdict.FOREIGN, LookalikeTrick.UNKNOWN_SENDER)


def test_a_whole_message_is_looked_through_in_its_order() -> None:
    text = "From: no-reply@example.org\nYour code. Open https://verify.example.org/x or evil.net now! At 3.14 e.g. so."
    assert [judged.written for judged in check_text(text, OURS)] == [
        "no-reply@example.org",
        "https://verify.example.org/x",
        "evil.net",
    ]


def test_in_development_plain_http_is_ours() -> None:
    assert (
        one("http://verify.example.org", OwnAddresses(("verify.example.org",), (), tls=False)).verdict
        is PhishingVerdict.OURS
    )


@given(st.text(max_size=400))
def test_no_text_is_too_odd(text: str) -> None:
    """H3: bounded, and nothing is ours but what is listed."""
    found = check_text(text, OURS)
    assert len(found) <= MAX_ADDRESSES
    for judged in found:
        if judged.verdict is PhishingVerdict.OURS:
            assert judged.compared in {*OURS.hosts, *OURS.senders}


def test_a_long_text_costs_no_more_than_a_short_one() -> None:
    """H3: only so much of it is looked at, whatever it is made of."""
    for made_of in ("a.", "@", "a@", "https://", "a-", "xn--a."):
        assert len(check_text(made_of * MAX_CHARACTERS, OURS)) <= MAX_ADDRESSES
