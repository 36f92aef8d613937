"""What a client's assertion and its request object must claim."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.oidc.client_jwt import (
    MAX_LIFETIME,
    assertion_fault,
    request_object_fault,
    request_parameters,
)

NOW = 1_795_435_200
ISSUER = "https://verify.example"
ABOUT: dict[str, Any] = {"iss": "app_shop", "aud": ISSUER, "exp": NOW + 60, "nbf": NOW, "jti": "1"}
ASSERTION = {**ABOUT, "sub": "app_shop"}
REQUEST = {**ABOUT, "client_id": "app_shop", "scope": "openid"}


def of_assertion(type_: str = "JWT", **changed: Any) -> str:
    claims = {name: value for name, value in {**ASSERTION, **changed}.items() if value is not None}
    return assertion_fault(claims, type_.lower(), client_id="app_shop", audiences={ISSUER, f"{ISSUER}/t"}, now=NOW)


def of_request(type_: str = "oauth-authz-req+jwt", **changed: Any) -> str:
    claims = {name: value for name, value in {**REQUEST, **changed}.items() if value is not None}
    return request_object_fault(claims, type_, client_id="app_shop", issuer=ISSUER, now=NOW)


def test_what_is_as_the_standards_say_has_no_fault() -> None:
    """P5."""
    assert of_assertion() == of_assertion(aud=f"{ISSUER}/t") == of_assertion(aud=["x", ISSUER], nbf=None) == ""
    assert of_request() == of_request("") == of_request("jwt", nbf=None, iat=NOW + 30) == ""


@pytest.mark.parametrize("fault", [of_assertion, of_request])
@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "app_two"},
        {"iss": None},
        {"aud": "https://other.example"},
        {"aud": None},
        {"aud": []},
        {"aud": [["x"], {}]},
        {"exp": NOW},
        {"exp": NOW - 1},
        {"exp": None},
        {"exp": str(NOW + 60)},
        {"exp": True},
        {"exp": NOW + MAX_LIFETIME + 61},
        {"nbf": NOW + 61},
        {"nbf": "now"},
        {"iat": NOW + 61},
        {"jti": None},
        {"jti": ""},
        {"jti": 1},
        {"jti": "x" * 256},
    ],
)
def test_what_is_not_is_refused(fault: Any, changed: dict[str, Any]) -> None:
    """P5."""
    assert fault(**changed)


def test_an_assertion_is_no_request_and_a_request_no_assertion() -> None:
    """P5: RFC 9101, 10.8. Whoever sees one in an address cannot authenticate with it."""
    assert of_assertion(client_id="app_shop")
    assert of_assertion("oauth-authz-req+jwt")
    assert of_assertion(sub="app_two")
    assert of_assertion(sub=None)
    assert of_request(sub="app_shop")
    assert of_request("client-authentication+jwt")
    assert of_request(client_id=None)
    assert of_request(client_id="app_two")
    assert of_request(request="x")
    assert of_request(request_uri="x")


def test_parameters_are_what_is_neither_about_the_jwt_nor_of_another_form() -> None:
    """P5."""
    found = request_parameters({**REQUEST, "max_age": 300, "authorization_details": [{"type": "x"}], "A b": "x"})
    assert found == {
        "client_id": "app_shop",
        "scope": "openid",
        "max_age": "300",
        "authorization_details": '[{"type":"x"}]',
    }
    for value in (None, True, 1.5):
        assert request_parameters({**REQUEST, "max_age": value}) is None


@given(
    st.dictionaries(
        st.text(max_size=8), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=8)
    )
)
def test_no_claims_break_it(claims: dict[str, Any]) -> None:
    """P5, H3."""
    assert of_assertion(**{f"x{name}": value for name, value in claims.items()}) == ""
    assertion_fault(claims, "", client_id="c", audiences={ISSUER}, now=NOW)
    request_object_fault(claims, "", client_id="c", issuer=ISSUER, now=NOW)
    request_parameters(claims)
