"""Twilio's signature against answers that Twilio's own documentation publishes, and its callbacks in the order in which they come."""

from __future__ import annotations

import pytest

from countersign.providers.sms.twilio import request_signature

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
TOKEN = "12345"


def fields(number: str) -> list[tuple[str, str]]:
    """Return the form of the documentation, in the order in which a browser or Twilio may send it."""
    return [
        ("To", "+18005551212"),
        ("From", number),
        ("Digits", "1234"),
        ("Caller", number),
        ("CallSid", "CA1234567890ABCDE"),
    ]


@pytest.mark.parametrize(
    ("number", "signature"),
    [("+14158675309", "RSOYDt4T1cUTdK1PDd93/VVr8B8="), ("+12349013030", "0/KCTR6DLpKmkAf8muzZqo1nDgQ=")],
)
def test_the_signature_is_that_of_the_documentation_whatever_the_order(number: str, signature: str) -> None:
    """D3: the fields are sorted by name, and the address keeps its query."""
    assert request_signature(TOKEN, URL, fields(number)) == signature
    assert request_signature(TOKEN, URL, fields(number)[::-1]) == signature


def test_the_signature_covers_the_address_every_field_and_the_token() -> None:
    right = request_signature(TOKEN, URL, fields("+14158675309"))
    assert request_signature("12346", URL, fields("+14158675309")) != right
    assert request_signature(TOKEN, URL.replace("foo=1", "foo=2"), fields("+14158675309")) != right
    assert request_signature(TOKEN, URL, fields("+14158675309")[1:]) != right
    assert request_signature(TOKEN, URL, [*fields("+14158675309"), ("X", "")]) != right
