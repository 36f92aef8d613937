"""Pushed and signed requests: from an authenticated client, for one client, for a short time, and once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.flows.oidc.test_authorize import ACT, BACK, CHALLENGE, asked, pushed, shop, told, told_alone
from tests.flows.people import Visitor, ada
from tests.flows.signing import EC, OTHER, RSA, jwks, request_claims, signed

from countersign.domain.oidc.authorization_request import PUSHED_LIFETIME, AuthorizationErrorResponse, RequestSource
from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.maintenance.applications import add_application, set_application_keys
from countersign.flows.maintenance.sweep import sweep
from countersign.flows.oidc.authorize import SignInRequired, authorize
from countersign.flows.oidc.pushed_request import (
    CONTINUED_LIFETIME,
    PushedRequest,
    ReceivedRequest,
    StoredRequest,
    push_request,
)
from countersign.store.engine.database import Rows, Sql

if TYPE_CHECKING:
    from tests.flows.place import Place

__all__ = ["shop"]

OUTSIDE = {"redirect_uri": BACK, "response_type": "code", "scope": "openid"}


async def signer(home: Place, shop: Application, *, requires_pushed: bool | None = None) -> Application:
    """Give the shop keys of its own."""
    return await set_application_keys(
        home.database, home.accounts.log, shop.name, 1, jwks=jwks(), requires_pushed=requires_pushed
    )


def request_of(home: Place, client: Application, **changed: Any) -> dict[str, Any]:
    params = {**asked(client), "authorization_details": [ACT]}
    return request_claims(params, client.id, home.core.links.issuer, home.clock(), **changed)


def query_of(client: Application, request: str) -> dict[str, str]:
    return {"client_id": client.id, **OUTSIDE, "request": request}


async def test_a_pushed_request_is_for_its_client_for_ninety_seconds_and_once(home: Place, shop: Application) -> None:
    """P5."""
    draft = ApplicationDraft("two", ApplicationMode.LIVE, redirect_uris=(BACK,))
    two, _ = await add_application(home.database, home.accounts.log, home.keyring, draft, 1, home.core.random_bytes)
    visitor = await ada(home)
    params = await pushed(home, shop, ACT)
    other = await authorize(home.accounts, visitor.browser, {**params, "client_id": two.id, "redirect_uri": BACK})
    assert told(other)["error"] == "invalid_request_uri"
    home.clock.forward(PUSHED_LIFETIME - 1)
    assert isinstance(await authorize(home.accounts, visitor.browser, params), CodeRequested)
    assert told_alone(await authorize(home.accounts, visitor.browser, params)) == "invalid_request_uri"
    late = await pushed(home, shop, ACT)
    home.clock.forward(PUSHED_LIFETIME)
    assert told_alone(await authorize(home.accounts, visitor.browser, late)) == "invalid_request_uri"


async def test_a_request_waits_for_a_user_who_has_to_sign_in_first(home: Place, shop: Application) -> None:
    """P5, U1: under a reference of its own; its words are in no address."""
    await ada(home)
    nobody = Visitor(home)
    outcome = await authorize(home.accounts, nobody.browser, await pushed(home, shop, ACT))
    assert isinstance(outcome, SignInRequired)
    assert "Pay" not in outcome.path
    home.clock.forward(20 * 60_000)
    await nobody.is_let_in()
    continued = dict(pair.split("=", 1) for pair in outcome.path.partition("?")[2].split("&"))
    continued = {name: value.replace("%3A", ":").replace("%2F", "/") for name, value in continued.items()}
    assert isinstance(await authorize(home.accounts, nobody.browser, continued), CodeRequested)
    home.clock.forward(CONTINUED_LIFETIME)
    assert told(await authorize(home.accounts, nobody.browser, continued))["error"] == "invalid_request_uri"
    await sweep(home.core, 30)
    assert await home.count("pushed_requests") == 0


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"client_id": "app_other"}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_redirect_uri"),
        ({"scope": "email"}, "invalid_scope"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"authorization_details": json.dumps([{**ACT, "summary": "https://"}])}, "invalid_authorization_details"),
        ({"authorization_details": json.dumps([{**ACT, "summary": "www.www."}])}, "invalid_authorization_details"),
        ({"request": "eyJ"}, "invalid_request_object"),
    ],
)
async def test_what_is_wrong_is_said_when_it_is_pushed(
    home: Place, shop: Application, changed: dict[str, str], error: str
) -> None:
    """P5, P4: also a summary of which a message would show nothing."""
    outcome = await push_request(home.accounts, shop, {**asked(shop), **changed})
    assert isinstance(outcome, AuthorizationErrorResponse)
    assert outcome.error == error
    assert await home.count("pushed_requests") == 0


async def test_what_does_not_count_is_not_stored(home: Place, shop: Application) -> None:
    """L5: 60 kB of parameters that nobody reads were kept for each push."""

    async def stored() -> int:
        rows: Rows = await Sql("SELECT data FROM pushed_requests")
        return max(len(row[0]) for row in rows)

    assert isinstance(await push_request(home.accounts, shop, {**asked(shop), "state": "s" * 100}), PushedRequest)
    plain = await home.database.read(stored)
    padding = {f"x{number}": "y" * 2_000 for number in range(20)}
    outcome = await push_request(home.accounts, shop, {**asked(shop), **padding})
    assert isinstance(outcome, PushedRequest)
    assert await home.database.read(stored) == plain
    visitor = await ada(home)
    reference = {"client_id": shop.id, "request_uri": outcome.request_uri}
    assert told(await authorize(home.accounts, visitor.browser, reference))["code"]


@pytest.mark.parametrize(("key", "algorithm"), [(EC, "ES256"), (RSA, "RS256"), (RSA, "PS256")])
async def test_a_signed_request_is_taken_once(home: Place, shop: Application, key: Any, algorithm: str) -> None:
    """P5."""
    client, visitor = await signer(home, shop), await ada(home)
    before = await home.count("single_uses")
    request = signed(request_of(home, client), key, algorithm, typ="oauth-authz-req+jwt")
    outcome = await authorize(home.accounts, visitor.browser, query_of(client, request))
    assert isinstance(outcome, CodeRequested)
    again = told(await authorize(home.accounts, visitor.browser, query_of(client, request)))
    assert again["error"] == "invalid_request_object"
    await sweep(home.core, 30)
    assert await home.count("single_uses") == before + 1
    home.clock.forward(120_000)
    await sweep(home.core, 30)
    assert await home.count("single_uses") <= before


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "app_two"},
        {"aud": "https://other.example"},
        {"exp": 1},
        {"exp": None},
        {"nbf": 1 << 40},
        {"jti": None},
        {"client_id": "app_two"},
        {"client_id": None},
        {"sub": "app_two"},
        {"request_uri": "x"},
        {"max_age": None, "prompt": True},
    ],
)
async def test_a_signed_request_that_is_not_as_it_must_be_sends_nothing(
    home: Place, shop: Application, changed: dict[str, Any]
) -> None:
    """P5."""
    client, visitor = await signer(home, shop), await ada(home)
    sent, used = await home.count("challenges"), await home.count("single_uses")
    request = signed(request_of(home, client, **changed))
    answer = told(await authorize(home.accounts, visitor.browser, query_of(client, request)))
    assert answer["error"] == "invalid_request_object"
    assert await home.count("challenges") == sent
    assert await home.count("single_uses") == used


async def test_a_request_signed_by_nobody_or_by_another_key_is_refused(home: Place, shop: Application) -> None:
    """P5: also by `none`."""
    client, visitor = await signer(home, shop), await ada(home)
    head, body, _ = signed(request_of(home, client)).split(".")
    none = "eyJhbGciOiJub25lIn0"
    refused = [f"{none}.{body}.", f"{none}.{body}.x", f"{head}.{body}.", f"{head}.{body}", "", "a.b.c", "\u00e9.b.c"]
    refused += [signed(request_of(home, client), OTHER), "x" * 9_000]
    for request in refused:
        answer = told(await authorize(home.accounts, visitor.browser, query_of(client, request)))
        assert answer["error"] == "invalid_request_object", request


async def test_a_client_without_keys_signs_nothing(home: Place, shop: Application) -> None:
    """P5."""
    visitor = await ada(home)
    answer = told(await authorize(home.accounts, visitor.browser, query_of(shop, signed(request_of(home, shop)))))
    assert answer["error"] == "invalid_request_object"


async def test_what_stands_beside_a_signed_request_does_not_count(home: Place, shop: Application) -> None:
    """P5: RFC 9101, 6.3."""
    client, visitor = await signer(home, shop), await ada(home)
    plain = request_claims(asked(client, state="inside"), client.id, home.core.links.issuer, home.clock())
    beside = {
        **query_of(client, signed(plain)),
        "state": "outside",
        "authorization_details": json.dumps([ACT]),
        "code_challenge": CHALLENGE[::-1],
        "acr_values": "urn:countersign:acr:passkey",
    }
    answer = told(await authorize(home.accounts, visitor.browser, beside))
    assert answer["state"] == "inside"
    assert "code" in answer


async def test_a_request_comes_by_value_or_by_reference_not_by_both(home: Place, shop: Application) -> None:
    """P5."""
    client, visitor = await signer(home, shop), await ada(home)
    both = {**await pushed(home, client, ACT), **query_of(client, signed(request_of(home, client)))}
    assert told(await authorize(home.accounts, visitor.browser, both))["error"] == "invalid_request"


async def test_a_signed_request_may_be_pushed(home: Place, shop: Application) -> None:
    """P5: RFC 9126, 3. What stands beside it does not count."""
    client, visitor = await signer(home, shop, requires_pushed=True), await ada(home)
    request = signed(request_of(home, client))
    by_value = told(await authorize(home.accounts, visitor.browser, query_of(client, request)))
    assert by_value["error"] == "invalid_request"
    assert told(await authorize(home.accounts, visitor.browser, asked(client)))["error"] == "invalid_request"
    found = await push_request(
        home.accounts, client, {"request": signed(request_of(home, client)), "scope": "x", "client_secret": "x"}
    )
    assert isinstance(found, PushedRequest)
    params = {"client_id": client.id, "request_uri": found.request_uri}
    assert isinstance(await authorize(home.accounts, visitor.browser, params), CodeRequested)


async def test_a_request_shows_neither_its_reference_nor_what_it_asks_in_a_log(shop: Application) -> None:
    """C8: whoever has the reference continues the request, and its parameters may name a contact."""
    params = {"login_hint": "ada@example.org"}
    shown = (
        StoredRequest(shop.id, params, RequestSource.PUSHED),
        ReceivedRequest(shop, params, RequestSource.PUSHED, b"key", "urn:secret"),
        PushedRequest("urn:secret", 60),
    )
    for one in shown:
        assert "ada@example.org" not in repr(one)
        assert "urn:secret" not in repr(one)
