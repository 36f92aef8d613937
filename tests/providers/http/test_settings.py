"""The settings that providers share: bounds of requests, and the address that receipts are posted to."""

from __future__ import annotations

import pytest
from tests.providers.contexts import context

from countersign.errors import SettingsError
from countersign.providers.fields import check_receipt_within, receipt_patience, require_filled
from countersign.providers.http.settings import HttpSettings


def test_the_bounds_of_the_settings_are_those_of_the_endpoint() -> None:
    endpoint = HttpSettings(timeout=3.0, connections=2, allow_private=True).endpoint(
        "Acme", "https://api.acme.example/"
    )
    assert (endpoint.label, endpoint.url) == ("Acme", "https://api.acme.example")
    assert (endpoint.timeout, endpoint.connections, endpoint.allow_private, endpoint.allow_http) == (
        3.0,
        2,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("callback", "allow_http", "used"),
    [
        ("https://verify.example.org/v1/receipts/ours", False, True),
        ("http://localhost:8000/v1/receipts/ours", False, False),
        ("http://localhost:8000/v1/receipts/ours", True, True),
    ],
)
def test_no_provider_calls_back_unencrypted_but_one_of_our_own_network(
    callback: str,
    allow_http: bool,  # noqa: FBT001
    used: bool,  # noqa: FBT001
) -> None:
    assert HttpSettings(allow_http=allow_http).callback_of(context(callback)) == (callback if used else "")


def test_a_receipt_is_waited_for_only_where_one_can_come() -> None:
    assert receipt_patience(None, "https://us.example") == 60_000
    assert receipt_patience(5_000, "https://us.example") == 5_000
    assert receipt_patience(5_000, "") is None


def test_a_time_that_is_not_positive_is_refused() -> None:
    check_receipt_within(None)
    with pytest.raises(SettingsError, match="receipt_within"):
        check_receipt_within(0)


@pytest.mark.parametrize("value", ["", "a\r\nb", "\x7f"])
def test_what_is_required_is_printable(value: str) -> None:
    require_filled(api_key="key")
    with pytest.raises(SettingsError, match="api_key is required"):
        require_filled(api_key=value)
