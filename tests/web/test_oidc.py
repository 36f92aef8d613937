"""The endpoints of OpenID Connect for programs: who is served there, with what, and how often."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import pytest
import pytest_asyncio
from tests.flows.oidc.test_authorize import ACT, CHALLENGE, VERIFIER
from tests.flows.signing import EC, OTHER, RSA, assertion_claims, jwks, request_claims, signed
from tests.web.browser import Browser
from tests.web.client import Answer, Client

from countersign.domain.oidc.client_jwt import ASSERTION_TYPE
from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.maintenance.applications import add_application, remove_application

if TYPE_CHECKING:
    from countersign.web.http.application import WebApplication
    from countersign.wiring import Runtime

BACK = "https://shop.example/signed-in"
ISSUER = "http://localhost:8000"
ENDPOINTS = ("/oauth/token", "/oauth/par", "/oauth/introspect", "/oauth/revoke")


class Shop(msgspec.Struct):
    """A client, its secret, and a way to ask as it."""

    app: Any
    client: Application
    secret: str

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        """Send a form without saying who asks."""
        return await self.raw(path, urlencode(fields), **headers)

    async def raw(self, path: str, body: str, **headers: str) -> Answer:
        """Send a body as it is."""
        form = {"content-type": "application/x-www-form-urlencoded", **headers}
        return await Client(self.app).ask("POST", path, raw=body.encode(), headers=form)

    async def asks(self, path: str, **fields: str) -> Answer:
        """Send a form as this client."""
        return await self.post(path, {"client_id": self.client.id, "client_secret": self.secret, **fields})

    def params(self, **more: str) -> dict[str, str]:
        """Return the parameters of an authorization request."""
        return {
            "client_id": self.client.id,
            "redirect_uri": BACK,
            "response_type": "code",
            "scope": "openid",
            "state": "s",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **more,
        }

    def asserts(self, runtime: Runtime, key: Any = EC, algorithm: str = "ES256", **changed: Any) -> dict[str, str]:
        """Return the fields by which the client authenticates with its key."""
        claims = assertion_claims(self.client.id, ISSUER, runtime.core.clock(), **changed)
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed(claims, key, algorithm)}


async def added(app: WebApplication, runtime: Runtime, name: str, **more: Any) -> Shop:
    draft = ApplicationDraft(name, ApplicationMode.LIVE, name, "localhost", redirect_uris=(BACK,), **more)
    database, log, keyring = runtime.core.database, runtime.accounts.log, runtime.core.keyring
    client, secret = await add_application(database, log, keyring, draft, runtime.core.clock(), os.urandom)
    return Shop(app, client, secret)


@pytest_asyncio.fixture
async def shop(app: WebApplication, runtime: Runtime) -> Shop:
    """A client with a secret and two keys."""
    return await added(app, runtime, "shop", jwks=jwks())


@pytest_asyncio.fixture
async def two(app: WebApplication, runtime: Runtime) -> Shop:
    """Another client."""
    return await added(app, runtime, "two")


@pytest_asyncio.fixture
async def browser(app: WebApplication, runtime: Runtime) -> Browser:
    """A person who has just opened an account."""
    person = Browser(app, runtime)
    await person.sign_up()
    return person


def error_of(answer: Answer, status: int) -> str:
    """Return the error of an answer that has this status; nothing of it may be kept."""
    assert answer.status == status, answer.body
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Basic ")
    return str(answer.json["error"])


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


async def code_for(browser: Browser, shop: Shop, **more: str) -> str:
    page = await browser.get(f"/oauth/authorize?{urlencode(shop.params(**more))}")
    return dict(parse_qsl(urlsplit(page.location).query))["code"]


def redeeming(code: str) -> dict[str, str]:
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}


# ------------------------------------------------------------------------------------------------------ who is served


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_a_client_is_served_with_its_own_key_alone(shop: Shop, two: Shop, path: str) -> None:
    """I2."""
    for client_id, secret in (
        (shop.client.id, two.secret),
        (two.client.id, shop.secret),
        (shop.client.id, "csk_live_wrong"),
        (shop.client.id, ""),
        ("", shop.secret),
        ("", ""),
    ):
        by_form = await shop.post(path, {"client_id": client_id, "client_secret": secret, "token": "x"})
        assert error_of(by_form, 401) == "invalid_client"
        by_header = await shop.post(path, {"token": "x"}, authorization=basic(client_id, secret))
        assert error_of(by_header, 401) == "invalid_client"


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_a_client_authenticates_in_one_way(shop: Shop, two: Shop, runtime: Runtime, path: str) -> None:
    """I2: two ways at once are refused, also where both are right."""
    name, secret = {"client_id": shop.client.id}, {"client_secret": shop.secret}
    header = basic(shop.client.id, shop.secret)
    assert error_of(await shop.post(path, {**name, **secret}, authorization=header), 401) == "invalid_client"
    assert error_of(await shop.post(path, {"client_secret": ""}, authorization=header), 401) == "invalid_client"
    assert error_of(await shop.post(path, shop.asserts(runtime), authorization=header), 401) == "invalid_client"
    assert error_of(await shop.post(path, {**secret, **shop.asserts(runtime)}), 401) == "invalid_client"
    other = {"client_id": two.client.id}
    assert error_of(await shop.post(path, other, authorization=header), 401) == "invalid_client"
    for broken in ("Bearer x", "Basic", "Basic !", "Basic eA==", "Digest x"):
        assert error_of(await shop.post(path, {}, authorization=broken), 401) == "invalid_client"


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_a_parameter_comes_once_and_in_a_form(shop: Shop, path: str) -> None:
    """H3."""
    body = urlencode({"client_id": shop.client.id, "client_secret": shop.secret})
    assert error_of(await shop.raw(path, f"{body}&token=a&token=b"), 400) == "invalid_request"
    assert error_of(await shop.raw(path, f"{body}&client_id={shop.client.id}"), 400) == "invalid_request"
    json = await Client(shop.app).post(path, {"client_id": shop.client.id, "client_secret": shop.secret})
    assert error_of(json, 400) == "invalid_request"
    assert error_of(await shop.raw(path, f"{body}&token=%ff"), 400) == "invalid_request"


@pytest.mark.parametrize("grant_type", ["password", "client_credentials", "refresh_token", "implicit", "", None])
async def test_a_code_is_redeemed_by_its_own_grant_type(shop: Shop, browser: Browser, grant_type: str | None) -> None:
    """S2."""
    fields = redeeming(await code_for(browser, shop))
    if grant_type is None:
        del fields["grant_type"]
    else:
        fields["grant_type"] = grant_type
    assert error_of(await shop.asks("/oauth/token", **fields), 400) == "unsupported_grant_type"
    assert (await shop.asks("/oauth/token", **{**fields, "grant_type": "authorization_code"})).status == 200


async def test_a_code_is_worth_nothing_to_another_client(shop: Shop, two: Shop, browser: Browser) -> None:
    """P1."""
    fields = redeeming(await code_for(browser, shop))
    assert error_of(await two.asks("/oauth/token", **fields), 400) == "invalid_grant"


async def test_the_token_of_a_removed_client_opens_nothing(shop: Shop, browser: Browser, runtime: Runtime) -> None:
    """S8."""
    answer = await shop.asks("/oauth/token", **redeeming(await code_for(browser, shop)))
    bearer = {"authorization": f"Bearer {answer.json['access_token']}"}
    assert (await Client(shop.app).get("/oauth/userinfo", headers=bearer)).status == 200
    await remove_application(runtime.core.database, runtime.accounts.log, "shop", runtime.core.clock())
    assert (await Client(shop.app).get("/oauth/userinfo", headers=bearer)).status == 401


# ---------------------------------------------------------------------------------------------------- private_key_jwt


@pytest.mark.parametrize(("key", "algorithm"), [(EC, "ES256"), (RSA, "RS256"), (RSA, "PS256")])
async def test_a_client_authenticates_with_its_key_at_every_endpoint(
    shop: Shop, browser: Browser, runtime: Runtime, key: Any, algorithm: str
) -> None:
    """P5: RFC 7523."""
    fields = redeeming(await code_for(browser, shop))
    answer = await shop.post("/oauth/token", {**fields, **shop.asserts(runtime, key, algorithm)})
    assert answer.status == 200, answer.body
    token = answer.json["access_token"]
    known = await shop.post("/oauth/introspect", {"token": token, **shop.asserts(runtime, key, algorithm)})
    assert known.json["active"] is True
    assert (await shop.post("/oauth/par", {**shop.params(), **shop.asserts(runtime, key, algorithm)})).status == 201
    assert (await shop.post("/oauth/revoke", {"token": token, **shop.asserts(runtime, key, algorithm)})).status == 200
    known = await shop.post("/oauth/introspect", {"token": token, **shop.asserts(runtime, key, algorithm)})
    assert known.json["active"] is False


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_an_assertion_is_meant_for_us_and_accepted_once(shop: Shop, runtime: Runtime, path: str) -> None:
    """P5: its `jti` counts at all endpoints together."""
    for audience in (ISSUER, f"{ISSUER}/oauth/token", f"{ISSUER}{path}", [ISSUER, "x"]):
        fields = {**shop.params(), "token": "x", **shop.asserts(runtime, aud=audience)}
        first = await shop.post(path, fields)
        assert first.status != 401, first.body
        for other in ENDPOINTS:
            assert error_of(await shop.post(other, fields), 401) == "invalid_client"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "app_x"},
        {"iss": None},
        {"sub": "app_x"},
        {"sub": None},
        {"aud": "https://other.example"},
        {"aud": f"{ISSUER}/oauth/authorize"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"exp": 1 << 40},
        {"nbf": 1 << 40},
        {"jti": None},
        {"jti": ["x"]},
        {"client_id": "x"},
    ],
)
async def test_an_assertion_that_is_not_as_it_must_be_is_refused(
    shop: Shop, runtime: Runtime, changed: dict[str, Any]
) -> None:
    """P5."""
    answer = await shop.post("/oauth/par", {**shop.params(), **shop.asserts(runtime, **changed)})
    assert error_of(answer, 401) == "invalid_client"


async def test_an_assertion_by_another_key_by_none_or_by_a_secret_is_refused(
    shop: Shop, two: Shop, runtime: Runtime
) -> None:
    """P5."""
    right = shop.asserts(runtime)["client_assertion"]
    _, body, signature = right.split(".")
    bad = [
        shop.asserts(runtime, OTHER)["client_assertion"],
        two.asserts(runtime)["client_assertion"],
        f"eyJhbGciOiJub25lIn0.{body}.",
        f"eyJhbGciOiJub25lIn0.{body}.{signature}",
        f"eyJhbGciOiJIUzI1NiJ9.{body}.{signature}",
        f"eyJhbGciOlsiRVMyNTYiXX0.{body}.{signature}",
        f"W10.{body}.{signature}",
        right[:-2],
        "",
        "a",
        "a.b.c",
        "\u00e9",
        right + "x" * 9_000,
    ]
    for assertion in bad:
        fields = {**shop.params(), "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        assert error_of(await shop.post("/oauth/par", fields), 401) == "invalid_client", assertion
    wrong_type = {**shop.params(), "client_assertion_type": "x", "client_assertion": right}
    assert error_of(await shop.post("/oauth/par", wrong_type), 401) == "invalid_client"
    another = {**shop.params(), "client_id": two.client.id, **shop.asserts(runtime)}
    assert error_of(await shop.post("/oauth/par", another), 401) == "invalid_client"


async def test_the_assertion_of_a_removed_client_is_refused(shop: Shop, runtime: Runtime) -> None:
    """P5."""
    await remove_application(runtime.core.database, runtime.accounts.log, "shop", runtime.core.clock())
    answer = await shop.post("/oauth/par", {**shop.params(), **shop.asserts(runtime)})
    assert error_of(answer, 401) == "invalid_client"


async def test_a_request_object_is_no_assertion(shop: Shop, runtime: Runtime) -> None:
    """P5: it passes through browsers, so anybody may have seen it."""
    claims = request_claims(shop.params(), shop.client.id, ISSUER, runtime.core.clock())
    for more in ({}, {"sub": shop.client.id}):
        fields = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed({**claims, **more})}
        assert error_of(await shop.post("/oauth/token", fields), 401) == "invalid_client"


# ------------------------------------------------------------------------------------------------------------ requests


async def test_an_act_is_pushed_approved_and_told_to_the_client(shop: Shop, browser: Browser) -> None:
    """P5, P4: the page names the act and the application that asks."""
    details = msgspec.json.encode([ACT]).decode()
    pushed = await shop.asks("/oauth/par", **shop.params(authorization_details=details))
    assert (pushed.status, pushed.json["expires_in"], pushed.headers["cache-control"]) == (201, 90, "no-store")
    query = urlencode({"client_id": shop.client.id, "request_uri": pushed.json["request_uri"]})
    assert (await browser.get(f"/oauth/authorize?{query}")).location == "/verify"
    page = await browser.get("/verify")
    assert ACT["summary"] in page.text
    assert "What this approves for \u2068shop\u2069" in page.text
    proved = await browser.post("/verify", code=await browser.code(), **page.hidden("/verify"))
    assert "Pay" not in proved.location
    back = dict(parse_qsl(urlsplit((await browser.get(proved.location)).location).query))
    told = await shop.asks("/oauth/token", **redeeming(back["code"]))
    body = told.json["id_token"].split(".")[1]
    claims = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert claims["authorization_details"] == [ACT]
    again = await browser.get(f"/oauth/authorize?{query}")
    assert again.status == 400
    assert "invalid_request_uri" in again.text


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "email"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"request": "x"}, "invalid_request_object"),
    ],
)
async def test_a_pushed_request_is_judged_at_once(shop: Shop, changed: dict[str, str], error: str) -> None:
    """P5."""
    assert error_of(await shop.asks("/oauth/par", **shop.params(**changed)), 400) == error


async def test_the_words_of_a_link_are_sent_to_nobody(shop: Shop, browser: Browser) -> None:
    """P5: they come back to the client as an error, and no flow begins."""
    details = msgspec.json.encode([ACT]).decode()
    page = await browser.get(f"/oauth/authorize?{urlencode(shop.params(authorization_details=details))}")
    back = dict(parse_qsl(urlsplit(page.location).query))
    assert page.location.startswith(f"{BACK}?")
    assert (back["error"], back["state"], back["iss"]) == ("invalid_request", "s", ISSUER)
    assert "__Host-visit" not in browser.cookies


async def test_a_signed_request_goes_through_the_browser(shop: Shop, browser: Browser, runtime: Runtime) -> None:
    """P5: RFC 9101."""
    claims = request_claims(
        {**shop.params(), "authorization_details": [ACT]}, shop.client.id, ISSUER, runtime.core.clock()
    )
    query = urlencode({"client_id": shop.client.id, "request": signed(claims, typ="oauth-authz-req+jwt")})
    assert (await browser.get(f"/oauth/authorize?{query}")).location == "/verify"
    assert ACT["summary"] in (await browser.get("/verify")).text


async def test_discovery_names_what_is_served(shop: Shop) -> None:
    """P5: RFC 8414, 9101 and 9126."""
    known = (await Client(shop.app).get("/.well-known/openid-configuration")).json
    assert known["pushed_authorization_request_endpoint"] == f"{ISSUER}/oauth/par"
    assert known["require_pushed_authorization_requests"] is False
    assert known["request_parameter_supported"] is True
    assert known["request_object_signing_alg_values_supported"] == ["ES256", "RS256", "PS256"]
    for endpoint in ("token", "revocation", "introspection"):
        assert "private_key_jwt" in known[f"{endpoint}_endpoint_auth_methods_supported"]
        assert known[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] == ["ES256", "RS256", "PS256"]
