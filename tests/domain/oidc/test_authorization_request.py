"""An authorization request: what is served, what is refused, and what is never sent back."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.accounts.session import Level
from countersign.domain.oidc.authorization_request import (
    AuthorizationErrorResponse,
    AuthorizationRequest,
    RequestSource,
    parse_authorization_request,
)
from countersign.domain.shared.application import Application, ApplicationMode

BACK = "https://shop.example/signed-in"
SHOP = Application(
    "app_shop", 0, "shop", ApplicationMode.LIVE, "Shop", "shop.example", (), b"key", redirect_uris=(BACK,)
)
GOOD = {
    "client_id": "app_shop",
    "redirect_uri": BACK,
    "response_type": "code",
    "scope": "openid email",
    "state": "s",
    "nonce": "n",
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
}
ACT = {"type": "urn:countersign:action", "summary": "Pay €148.00", "hash": "h"}


def judged(
    client: Application | None = SHOP, source: RequestSource = RequestSource.QUERY, **changed: str | None
) -> AuthorizationRequest | AuthorizationErrorResponse:
    params = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    return parse_authorization_request(params, client, source)


def test_a_plain_request_is_taken() -> None:
    found = judged()
    assert isinstance(found, AuthorizationRequest)
    assert found.scope == ("openid", "email")
    assert found.requirement.level is Level.PASSWORD
    assert found.requirement.max_age is None
    assert not found.requirement.is_for_one_action


@pytest.mark.parametrize(
    "redirect",
    [
        BACK + "/",
        BACK + "?x",
        BACK.upper(),
        "https://shop.example/signed-in/../evil",
        "https://evil.example/signed-in",
        "http://shop.example/signed-in",
        "",
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_registered_to_the_letter(redirect: str) -> None:
    found = judged(redirect_uri=redirect)
    assert isinstance(found, AuthorizationErrorResponse)
    assert found.redirect_uri == ""


def test_an_unknown_or_removed_client_is_told_to_the_person_alone() -> None:
    for client in (None, msgspec.structs.replace(SHOP, removed_at=1)):
        found = judged(client)
        assert isinstance(found, AuthorizationErrorResponse)
        assert (found.error, found.redirect_uri) == ("invalid_client", "")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "email"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "1e3"}, "invalid_request"),
        ({"acr_values": "urn:mace:incommon:iap:silver"}, "unmet_authentication_requirements"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"authorization_details": "{"}, "invalid_authorization_details"),
        ({"authorization_details": json.dumps([{**ACT, "type": "other"}])}, "invalid_authorization_details"),
        ({"authorization_details": json.dumps([{**ACT, "summary": ""}])}, "invalid_authorization_details"),
        ({"authorization_details": json.dumps([{**ACT, "summary": "a\nb"}])}, "invalid_authorization_details"),
        ({"authorization_details": json.dumps([{**ACT, "more": 1}])}, "invalid_authorization_details"),
        ({"authorization_details": json.dumps([ACT, ACT])}, "invalid_authorization_details"),
        ({"nonce": "n" * 2_001}, "invalid_request"),
    ],
)
def test_what_is_not_served_is_sent_back_by_its_name(changed: dict[str, str | None], error: str) -> None:
    found = judged(SHOP, RequestSource.PUSHED, **changed)
    assert isinstance(found, AuthorizationErrorResponse)
    assert (found.error, found.redirect_uri, found.state) == (error, BACK, "s")


def test_an_act_is_taken_from_pushed_and_signed_requests_alone() -> None:
    """P5: the words of a link stand in no message of ours, whatever they are."""
    for details in (json.dumps([ACT]), "[]", "", "{"):
        found = judged(authorization_details=details)
        assert isinstance(found, AuthorizationErrorResponse)
        assert (found.error, found.redirect_uri) == ("invalid_request", BACK)
    for source in (RequestSource.PUSHED, RequestSource.SIGNED):
        assert isinstance(judged(SHOP, source, authorization_details=json.dumps([ACT])), AuthorizationRequest)


def test_a_client_that_pushes_its_requests_is_served_no_other_way() -> None:
    """P5."""
    careful = msgspec.structs.replace(SHOP, requires_pushed=True)
    for source in (RequestSource.QUERY, RequestSource.SIGNED):
        found = judged(careful, source)
        assert isinstance(found, AuthorizationErrorResponse)
        assert found.error == "invalid_request"
    assert isinstance(judged(careful, RequestSource.PUSHED), AuthorizationRequest)


def test_the_weakest_of_the_levels_that_are_asked_for_is_enough() -> None:
    """U1."""
    found = judged(acr_values="urn:countersign:acr:passkey urn:x urn:countersign:acr:mail-code", max_age="900")
    assert isinstance(found, AuthorizationRequest)
    assert found.requirement.level is Level.MAIL_CODE
    assert found.requirement.max_age == 900


def test_an_act_asks_for_a_code_however_weak_a_level_is_named() -> None:
    """U2."""
    found = judged(
        SHOP, RequestSource.PUSHED, authorization_details=json.dumps([ACT]), acr_values="urn:countersign:acr:password"
    )
    assert isinstance(found, AuthorizationRequest)
    assert found.requirement.level is Level.MAIL_CODE
    assert (found.requirement.action.summary, found.requirement.action.hash) == ("Pay €148.00", "h")
    assert (found.requirement.client_id, found.requirement.action.asker) == ("app_shop", "Shop")


@given(st.dictionaries(st.sampled_from([*GOOD, "prompt", "max_age", "acr_values", "authorization_details"]), st.text()))
def test_nothing_breaks_it_and_nobody_is_sent_elsewhere(changed: dict[str, Any]) -> None:
    """H3."""
    found = judged(SHOP, RequestSource.PUSHED, **changed)
    assert found.redirect_uri in {"", BACK}
