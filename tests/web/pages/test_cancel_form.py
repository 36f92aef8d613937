"""Cancel leads back to where the person came from, and nowhere else (semantics J1)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from tests.web.pages.page_browser import ADA, PASSWORD, PageBrowser, signed_up
from tests.web.pages.test_destinations import BACK, ELSEWHERE, shop

from countersign.flows.oidc.pushed_request import PushedRequest, push_request

if TYPE_CHECKING:
    from countersign.wiring import Runtime

STATE = "x y=&z"


def asked(client_id: str, **more: str) -> dict[str, str]:
    """Return the parameters of an authorization request."""
    return {
        "client_id": client_id,
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "openid",
        "state": STATE,
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        **more,
    }


def told(location: str) -> dict[str, str]:
    """Return what an application is told at its callback."""
    assert location.startswith(f"{BACK}?")
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


async def test_the_application_hears_that_its_request_was_canceled(runtime: Runtime) -> None:
    """J1: by the registered error, with its state and our name, from the form and from the code."""
    client = await shop(runtime)
    browser = PageBrowser(runtime)
    begun = await browser.get(f"/oauth/authorize?{urlencode(asked(client.id))}")
    path = parse_qs(urlsplit(begun.headers["location"]).query)["return_to"][0]
    answer = await browser.post("/sign-in/cancel", {"return_to": path})
    heard = told(answer.headers["location"])
    assert (heard["error"], heard["state"], heard["iss"]) == ("access_denied", STATE, runtime.accounts.links.issuer)
    await browser.post("/sign-up", {"name": "Ada", "identifier": ADA, "password": PASSWORD, "return_to": path})
    code, mark = await browser.code(), (await browser.get("/verify")).body.partition(b'name="flow" value="')[2][:32]
    canceled = await browser.post("/verify/cancel", {"flow": mark.decode(), "return_to": ""})
    assert told(canceled.headers["location"])["error"] == "access_denied"
    assert (await browser.post("/verify", {"code": code})).headers["location"] == "/verify"
    assert await browser.session() is None


async def test_a_pushed_request_is_used_up_by_it(runtime: Runtime) -> None:
    """J1: whoever has the address of before continues nothing."""
    client = await shop(runtime)
    pushed = await push_request(runtime.accounts, client, asked(client.id))
    assert isinstance(pushed, PushedRequest)
    browser = PageBrowser(runtime)
    query = urlencode({"client_id": client.id, "request_uri": pushed.request_uri, "redirect_uri": BACK})
    begun = await browser.get(f"/oauth/authorize?{query}")
    path = parse_qs(urlsplit(begun.headers["location"]).query)["return_to"][0]
    first = await browser.post("/sign-in/cancel", {"return_to": path})
    assert told(first.headers["location"])["error"] == "access_denied"
    second = await browser.post("/sign-in/cancel", {"return_to": path})
    assert told(second.headers["location"])["error"] == "invalid_request_uri"


@pytest.mark.parametrize("wanted", ELSEWHERE)
async def test_nobody_is_led_elsewhere_by_it(runtime: Runtime, wanted: str) -> None:
    """J1: neither to a foreign site, nor to an address that the application has not registered."""
    client = await shop(runtime)
    browser = PageBrowser(runtime)
    answer = await browser.post("/sign-in/cancel", {"return_to": wanted})
    assert answer.headers["location"] == "/sign-in"
    forged = f"/oauth/authorize?{urlencode(asked(client.id, redirect_uri=wanted))}"
    answer = await browser.post("/sign-in/cancel", {"return_to": forged})
    assert answer.headers["location"] == "/sign-in"
    unknown = f"/oauth/authorize?{urlencode(asked('app_unknown'))}"
    assert (await browser.post("/sign-in/cancel", {"return_to": unknown})).headers["location"] == "/sign-in"


async def test_a_step_up_is_canceled_to_its_section(runtime: Runtime) -> None:
    """J1: the page of the form; its code is worth nothing, and nothing is changed."""
    browser = await signed_up(runtime)
    await browser.post("/account/contacts", {"contact": "new@example.org", "replaces": ""})
    mark = (await browser.get("/verify")).body.partition(b'name="flow" value="')[2][:32].decode()
    answer = await browser.post("/verify/cancel", {"flow": mark, "return_to": ""})
    assert answer.headers["location"] == "/account/contacts"
    assert await browser.sees() is None
    assert (await browser.post("/verify/cancel", {"flow": mark})).status == 303


async def test_another_sites_page_cancels_nothing(runtime: Runtime) -> None:
    """H5."""
    browser = PageBrowser(runtime)
    await browser.post("/sign-up", {"name": "Ada", "identifier": ADA, "password": PASSWORD})
    answer = await browser.post("/verify/cancel", {"flow": "x"}, origin="https://evil.example")
    assert answer.status == 403
    assert await browser.sees() is not None
