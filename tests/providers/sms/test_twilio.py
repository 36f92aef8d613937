"""Twilio's signature against answers that Twilio's own documentation publishes, and its callbacks in the order in which they come."""

from __future__ import annotations

from typing import cast
from urllib.parse import urlencode

import pytest
from tests.providers.http_peers import SECRETS, make

from countersign.errors import InputError
from countersign.providers import Callback, TakesReceipts
from countersign.providers.sms.twilio import both_ports, request_signature

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


@pytest.mark.parametrize(
    ("callback", "signed"),
    [
        ("https://verify.example.org:8443/v1/receipts/ours", "https://verify.example.org:8443/v1/receipts/ours"),
        ("https://verify.example.org:8443/v1/receipts/ours", "https://verify.example.org/v1/receipts/ours"),
        ("https://verify.example.org/v1/receipts/ours", "https://verify.example.org/v1/receipts/ours"),
        ("https://verify.example.org/v1/receipts/ours", "https://verify.example.org:443/v1/receipts/ours"),
        ("http://localhost/v1/receipts/ours", "http://localhost:80/v1/receipts/ours"),
        ("https://[2001:db8::1]:8443/v1/receipts/ours", "https://[2001:db8::1]/v1/receipts/ours"),
    ],
)
async def test_a_receipt_may_be_signed_with_the_port_or_without_it(callback: str, signed: str) -> None:
    """D3: Twilio does either, and its own library takes both."""
    form = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    provider = make("twilio", 9, callback=callback)
    signature = request_signature(SECRETS["twilio"]["auth_token"], signed, list(form.items()))
    takes = cast("TakesReceipts", provider)
    found = await takes.receipts(Callback("POST", "", {"X-Twilio-Signature": signature}, urlencode(form).encode()))
    assert [one.provider_message_id for one in found] == ["SM1"]
    for other in ("https://verify.example.org:9443/v1/receipts/ours", "https://eve.example/v1/receipts/ours"):
        forged = request_signature(SECRETS["twilio"]["auth_token"], other, list(form.items()))
        with pytest.raises(InputError):
            await takes.receipts(Callback("POST", "", {"X-Twilio-Signature": forged}, urlencode(form).encode()))
    await provider.close()


def test_an_address_has_one_form_with_a_port_and_one_without() -> None:
    assert both_ports("https://a.example:8443/x?y=1") == ("https://a.example/x?y=1", "https://a.example:8443/x?y=1")
    assert both_ports("") == ("", "")
