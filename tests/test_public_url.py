"""`public_url` has one spelling within, that of browsers, so that forms and passkeys of our own pages are never another site's."""

from __future__ import annotations

import pytest

from countersign.config import load
from countersign.errors import SettingsError
from countersign.web.http.csrf import CrossOriginGuard
from countersign.web.http.request import Request
from countersign.webauthn import relying_party

DEVELOPMENT = {"COUNTERSIGN_ENVIRONMENT": "development"}


def posted(origin: str) -> Request:
    """Return a form as a browser sends it."""
    headers = [(b"origin", origin.encode())]
    return Request(
        {"type": "http", "method": "POST", "path": "/sign-in", "headers": headers, "query_string": b""}, _nothing
    )


async def _nothing() -> dict[str, object]:
    return {"type": "http.request", "body": b"", "more_body": False}


@pytest.mark.parametrize(
    ("written", "origin", "host"),
    [
        ("https://verify.example.org:443", "https://verify.example.org", "verify.example.org"),
        ("HTTPS://Verify.Example.ORG/", "https://verify.example.org", "verify.example.org"),
        ("https://verify.example.org.", "https://verify.example.org", "verify.example.org"),
        ("https://verify.example.org.:8443//", "https://verify.example.org:8443", "verify.example.org"),
        ("  https://verify.example.org ", "https://verify.example.org", "verify.example.org"),
        ("https://verify.example.org:08443", "https://verify.example.org:8443", "verify.example.org"),
        ("http://localhost:80", "http://localhost", "localhost"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("https://BU\u0308CHER.example\u3002", "https://xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("https://fa\u00df.example", "https://xn--fa-hia.example", "xn--fa-hia.example"),
        ("https://[2001:DB8:0::1]:443", "https://[2001:db8::1]", "2001:db8::1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "127.0.0.1"),
        ("https://app_1.internal", "https://app_1.internal", "app_1.internal"),
    ],
)
def test_one_address_has_one_spelling(written: str, origin: str, host: str) -> None:
    """H5: the origin that browsers send is ours, and so is that of a passkey."""
    settings = load({**DEVELOPMENT, "COUNTERSIGN_PUBLIC_URL": written})
    assert settings.public_url == origin
    guard = CrossOriginGuard(settings.public_url, development=False)
    assert not guard.refuses(posted(origin))
    assert guard.refuses(posted("https://eve.example"))
    party = relying_party(settings.public_url, "Shop")
    assert (party.id, party.origin) == (host, origin)


@pytest.mark.parametrize(
    "written",
    [
        "verify.example.org", "ftp://verify.example.org", "https://", "https://verify.example.org/path", "https://verify.example.org?",
        "https://verify.example.org?a=b", "https://verify.example.org#", "https://ada@verify.example.org", "https://verify.example.org:0",
        "https://verify.example.org:99999", "https://verify.example.org:", "https://verify..example.org", "https://verify example.org",
        "https://127.1", "https://[::1", "https://verify.example.org\\evil", "https://\u0660.\u200f.example",
    ],
)  # fmt: skip
def test_what_is_no_origin_stops_the_start(written: str) -> None:
    """O2: with the name of the setting."""
    with pytest.raises(SettingsError, match="public_url"):
        load({**DEVELOPMENT, "COUNTERSIGN_PUBLIC_URL": written})


@pytest.mark.parametrize(("written", "country"), [("DE", "DE"), ("de", "DE"), ("", "")])
def test_the_default_country_is_one_that_has_telephone_numbers(written: str, country: str) -> None:
    """J3: where a number without a country code is at home."""
    assert load({**DEVELOPMENT, "COUNTERSIGN_DEFAULT_COUNTRY": written}).default_country == country


@pytest.mark.parametrize("written", ["XX", "DEU", "49", "Germany"])
def test_a_default_country_that_is_none_stops_the_start(written: str) -> None:
    with pytest.raises(SettingsError, match="default_country"):
        load({**DEVELOPMENT, "COUNTERSIGN_DEFAULT_COUNTRY": written})
